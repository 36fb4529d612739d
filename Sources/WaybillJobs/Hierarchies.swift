/// The two trees of head office, flattened so that a line on a branch finds its leaves by an index.
///
/// UNION, not UNION ALL: a parent chain that runs in a circle then ends, and its members are each other's ancestors.
enum Hierarchies {
    /// (category_id, product_id): a product stands in its category and in all above it.
    ///
    /// A category that is named but does not exist holds nothing, whoever names it.
    static let productsOfCategory = TemporaryTable(
        "retail_category_product", index: ["category_id", "product_id"],
        """
        WITH RECURSIVE above (product_id, category_id) AS (
            SELECT product.product_id, category.category_id
            FROM product
            JOIN category ON category.category_id = product.category_id
            UNION
            SELECT above.product_id, parent.category_id
            FROM above
            JOIN category ON category.category_id = above.category_id
            JOIN category AS parent ON parent.category_id = category.parent_category_id
        )
        SELECT category_id, product_id FROM above
        """)

    /// (node_id, store_id): a store is reached by its own node and by all above it.
    static let storesOfNode = TemporaryTable(
        "retail_node_store", index: ["node_id", "store_id"],
        """
        WITH RECURSIVE above (store_id, node_id) AS (
            SELECT store_id, node_id FROM store
            UNION
            SELECT above.store_id, org_node.parent_node_id
            FROM above
            JOIN org_node ON org_node.node_id = above.node_id
            WHERE org_node.parent_node_id IS NOT NULL
        )
        SELECT node_id, store_id FROM above
        """)
}
