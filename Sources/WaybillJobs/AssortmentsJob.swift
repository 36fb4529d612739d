import WaybillModel

extension RetailJobs {
    /// Which products a store sells, from which day to which, with their names and categories.
    ///
    /// A scope is a class of stores that resolve alike: same legal entity, same published assortments. It is named
    /// by its smallest store, so that a change of the list which meets the whole class does not rename it.
    public static let assortments = Job(
        retail: "assortments",
        title: "Products each store sells, by date, with their categories",
        inputs: [
            "org_node", "store", "category", "product", "product_release", "assortment", "assortment_line",
            "assortment_node",
        ],
        temporary: [
            Hierarchies.productsOfCategory, Hierarchies.storesOfNode, reachingAssortments, storeClasses,
            coveredProducts,
            productPatterns, patternLines, patternIntervals, assortedProducts,
        ],
        subjobs: [
            Subjob(table: StoreTables.category, rows: usedCategories, members: membersOfClass),
            Subjob(table: StoreTables.product, rows: usedProducts, members: membersOfClass),
            Subjob(
                table: StoreTables.assortedProduct,
                rows: "SELECT scope, product_id, valid_from, valid_to FROM retail_assorted",
                members: membersOfClass),
        ])

    private static let membersOfClass = "SELECT store_id, scope FROM retail_store_class"

    // MARK: Which stores resolve alike

    /// (store_id, assortment_id). A draft reaches nobody, so that it can neither include nor exclude.
    private static let reachingAssortments = TemporaryTable(
        "retail_reaching", index: ["store_id", "assortment_id"],
        """
        SELECT DISTINCT node_store.store_id, assortment.assortment_id
        FROM assortment
        JOIN assortment_node ON assortment_node.assortment_id = assortment.assortment_id
        JOIN retail_node_store AS node_store ON node_store.node_id = assortment_node.node_id
        WHERE assortment.status = 'published'
        """)

    /// (store_id, legal_entity_id, scope). JSON, because no separator is safe in names that others choose.
    private static let storeClasses = TemporaryTable(
        "retail_store_class",
        """
        WITH listed AS (
            SELECT DISTINCT store_id, json_group_array(assortment_id) OVER (
                PARTITION BY store_id ORDER BY assortment_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) AS assortments
            FROM retail_reaching
        )
        SELECT
            store.store_id, store.legal_entity_id,
            min(store.store_id) OVER (PARTITION BY store.legal_entity_id, listed.assortments) AS scope
        FROM listed
        JOIN store ON store.store_id = listed.store_id
        """)

    // MARK: Which products resolve alike

    /// (assortment_id, line_type, product_id): the lines, exploded to products.
    private static let coveredProducts = TemporaryTable(
        "retail_covered",
        """
        SELECT line.assortment_id, line.line_type, category_product.product_id
        FROM assortment_line AS line
        JOIN retail_category_product AS category_product ON category_product.category_id = line.category_id
        UNION
        SELECT line.assortment_id, line.line_type, product.product_id
        FROM assortment_line AS line
        JOIN product ON product.product_id = line.product_id
        """)

    /// (product_id, pattern): products under the same lines have the same days, so one of them, the pattern, is
    /// worked out for all. Most of a range differs in nothing but the product: this keeps the windows below small.
    private static let productPatterns = TemporaryTable(
        "retail_product_pattern", index: ["product_id", "pattern"],
        """
        WITH listed AS (
            SELECT DISTINCT product_id, json_group_array(json_array(assortment_id, line_type)) OVER (
                PARTITION BY product_id ORDER BY assortment_id, line_type
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) AS lines
            FROM retail_covered
        )
        SELECT product_id, min(product_id) OVER (PARTITION BY lines) AS pattern FROM listed
        """)

    private static let patternLines = TemporaryTable(
        "retail_pattern_line", index: ["assortment_id"],
        """
        SELECT
            covered.assortment_id, covered.product_id AS pattern,
            covered.line_type = 'include' AS includes, covered.line_type = 'exclude' AS excludes
        FROM retail_covered AS covered
        JOIN retail_product_pattern AS product
            ON product.product_id = covered.product_id AND product.pattern = covered.product_id
        """)

    // MARK: On which days

    /// (scope, pattern, valid_from, valid_to): the maximal runs of days on which the pattern is assorted.
    ///
    /// The lines in force change only on the first day of an assortment and on the day after its last. On each such
    /// day the running sums say how many lines include and how many exclude; one exclude, of whichever assortment,
    /// outweighs every include. Days on which the answer stays the same are dropped, so neighbours merge.
    ///
    /// An assortment that ends before it begins is never in force. After 9999-12-31 comes no day: such an
    /// assortment is open, like one without an end.
    private static let patternIntervals = TemporaryTable(
        "retail_pattern_interval", index: ["scope", "pattern"],
        // CROSS JOIN keeps the order: class, its assortments (retail_reaching_index), their lines
        // (retail_pattern_line_index). Without statistics SQLite might begin with the largest.
        """
        WITH
        effect AS (
            SELECT
                class.scope, line.pattern, line.includes, line.excludes,
                assortment.effective_from AS first_day, date(assortment.effective_to, '+1 day') AS day_after
            FROM retail_store_class AS class
            CROSS JOIN retail_reaching AS reaching ON reaching.store_id = class.store_id
            CROSS JOIN assortment ON assortment.assortment_id = reaching.assortment_id
            CROSS JOIN retail_pattern_line AS line ON line.assortment_id = reaching.assortment_id
            WHERE class.store_id = class.scope
                AND (assortment.effective_to IS NULL OR assortment.effective_to >= assortment.effective_from)
        ),
        step AS (
            SELECT scope, pattern, first_day AS day, includes, excludes FROM effect
            UNION ALL
            SELECT scope, pattern, day_after, -includes, -excludes FROM effect WHERE day_after IS NOT NULL
        ),
        state AS (
            SELECT
                scope, pattern, day,
                sum(sum(includes)) OVER so_far > 0 AND sum(sum(excludes)) OVER so_far = 0 AS is_assorted
            FROM step
            GROUP BY scope, pattern, day
            WINDOW so_far AS (PARTITION BY scope, pattern ORDER BY day)
        ),
        compared AS (
            SELECT
                scope, pattern, day, is_assorted,
                lag(is_assorted, 1, 0) OVER (PARTITION BY scope, pattern ORDER BY day) AS was_assorted
            FROM state
        ),
        change AS (
            SELECT
                scope, pattern, is_assorted, day AS valid_from,
                date(lead(day) OVER (PARTITION BY scope, pattern ORDER BY day), '-1 day') AS valid_to
            FROM compared
            WHERE is_assorted <> was_assorted
        )
        SELECT scope, pattern, valid_from, valid_to FROM change WHERE is_assorted
        """)

    /// (scope, product_id, valid_from, valid_to), for products released to the class's legal entity.
    ///
    /// A product stopped in every entity it is released to is gone everywhere; stopped in the store's own alone, it
    /// stays: so the document on assortments says.
    private static let assortedProducts = TemporaryTable(
        "retail_assorted", index: ["scope", "product_id"],
        // By retail_product_pattern_index and retail_pattern_interval_index; hence again CROSS JOIN.
        """
        WITH released AS (
            SELECT product_id, legal_entity_id
            FROM product_release
            WHERE product_id IN (SELECT product_id FROM product_release GROUP BY product_id HAVING min(stopped) = 0)
        )
        SELECT class.scope, product.product_id, interval.valid_from, interval.valid_to
        FROM retail_store_class AS class
        CROSS JOIN released ON released.legal_entity_id = class.legal_entity_id
        CROSS JOIN retail_product_pattern AS product ON product.product_id = released.product_id
        CROSS JOIN retail_pattern_interval AS interval
            ON interval.scope = class.scope AND interval.pattern = product.pattern
        WHERE class.store_id = class.scope
        """)

    // MARK: What the till shows

    private static let usedProducts = """
        SELECT assorted.scope, product.product_id, product.category_id, product.name, product.sales_unit
        FROM (SELECT DISTINCT scope, product_id FROM retail_assorted) AS assorted
        JOIN product ON product.product_id = assorted.product_id
        """

    /// The categories of those products with all above them. A category that does not exist ends the chain.
    private static let usedCategories = """
        WITH RECURSIVE used (scope, category_id) AS (
            SELECT DISTINCT assorted.scope, product.category_id
            FROM retail_assorted AS assorted
            JOIN product ON product.product_id = assorted.product_id
            UNION
            SELECT used.scope, category.parent_category_id
            FROM used
            JOIN category ON category.category_id = used.category_id
        )
        SELECT used.scope, category.category_id, category.parent_category_id, category.name
        FROM used
        JOIN category ON category.category_id = used.category_id
        """
}
