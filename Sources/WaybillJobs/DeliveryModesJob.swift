import WaybillModel

extension RetailJobs {
    /// How a store's products can be delivered, and where to.
    ///
    /// A scope is a mode: what it delivers and where does not depend on the store, so all stores that have the mode
    /// share its rows. What a store sells does not matter here.
    public static let deliveryModes = Job(
        retail: "delivery-modes",
        title: "Modes of delivery of each store, with their products and destinations",
        inputs: [
            "org_node", "store", "category", "product", "delivery_mode", "delivery_mode_node", "delivery_mode_product",
            "delivery_mode_address", "address",
        ],
        temporary: [Hierarchies.productsOfCategory, Hierarchies.storesOfNode],
        subjobs: [
            Subjob(
                table: StoreTables.deliveryMode, rows: "SELECT mode_id AS scope, mode_id, name FROM delivery_mode",
                members: membersOfMode),
            Subjob(table: StoreTables.productDeliveryMode, rows: productsOfMode, members: membersOfMode),
            Subjob(table: StoreTables.deliveryModeAddress, rows: addressesOfMode, members: membersOfMode),
        ])

    /// By retail_node_store_index: a mode holds for the store of a node it is linked to and all stores below.
    private static let membersOfMode = """
        SELECT DISTINCT node_store.store_id, link.mode_id AS scope
        FROM delivery_mode_node AS link
        JOIN delivery_mode ON delivery_mode.mode_id = link.mode_id
        JOIN retail_node_store AS node_store ON node_store.node_id = link.node_id
        """

    /// Exclude wins within a mode; modes do not touch each other. Without an include nothing is covered, so a mode
    /// without product lines delivers nothing.
    private static let productsOfMode = """
        WITH covered AS (
            SELECT line.mode_id, line.line_type, category_product.product_id
            FROM delivery_mode_product AS line
            JOIN retail_category_product AS category_product ON category_product.category_id = line.category_id
            UNION
            SELECT line.mode_id, line.line_type, product.product_id
            FROM delivery_mode_product AS line
            JOIN product ON product.product_id = line.product_id
        )
        SELECT covered.mode_id AS scope, covered.product_id, covered.mode_id
        FROM covered
        JOIN delivery_mode ON delivery_mode.mode_id = covered.mode_id
        GROUP BY covered.mode_id, covered.product_id
        HAVING max(covered.line_type = 'exclude') = 0
        """

    /// A line without a state means the whole country; address is searched by its key (country, state).
    private static let addressesOfMode = """
        SELECT line.mode_id AS scope, line.mode_id, address.country, address.state
        FROM delivery_mode_address AS line
        JOIN delivery_mode ON delivery_mode.mode_id = line.mode_id
        JOIN address ON address.country = line.country AND ifnull(line.state, '') IN ('', address.state)
        GROUP BY line.mode_id, address.country, address.state
        HAVING max(line.line_type = 'exclude') = 0
        """
}
