import WaybillModel

extension RetailJobs {
    /// All from which a till finds a price with ``TillStatement/price``, now and on dates to come.
    ///
    /// Money and quantities travel as whole ten-thousandths (`_e4`), rates as millionths (`_e6`): HQ's decimals
    /// exactly, so that a till rounds as the rules say and not as binary fractions happen to fall.
    ///
    /// A line for a price group travels to the stores of the group and no further; its priority is resolved here.
    /// So a till needs to know neither price groups nor its own place among them.
    public static let prices = Job(
        retail: "prices",
        title: "Base prices, exchange rates, trade agreements and price adjustments of each store",
        inputs: [
            "store", "legal_entity", "category", "product", "product_release", "price_group", "store_price_group",
            "trade_agreement", "price_adjustment", "exchange_rate",
        ],
        temporary: [Hierarchies.productsOfCategory, adjustedProducts],
        subjobs: [
            Subjob(
                table: StoreTables.priceBase, rows: basePrices,
                members: "SELECT store_id, legal_entity_id AS scope FROM store"),
            Subjob(
                table: StoreTables.exchangeRate, rows: exchangeRates,
                members: "SELECT store_id, '*' AS scope FROM store"),
            Subjob(table: StoreTables.tradeAgreement, rows: tradeAgreements, members: membersOfTradeAgreements),
            Subjob(table: StoreTables.priceAdjustment, rows: priceAdjustments, members: membersOfPriceAdjustments),
        ])

    /// In the legal entity's currency and for the sales unit alone: the rules know no conversion of units.
    private static let basePrices = """
        SELECT
            release.legal_entity_id AS scope,
            release.product_id, product.sales_unit AS unit, legal_entity.currency,
            CAST(round(release.base_price * 10000) AS INTEGER) AS base_price_e4
        FROM product_release AS release
        JOIN product ON product.product_id = release.product_id
        JOIN legal_entity ON legal_entity.legal_entity_id = release.legal_entity_id
        -- A base price is for the sales unit: without one it is for nothing.
        WHERE release.base_price IS NOT NULL AND product.sales_unit IS NOT NULL
        """

    private static let exchangeRates = """
        SELECT '*' AS scope, from_currency, to_currency, valid_from, CAST(round(rate * 1000000) AS INTEGER) AS rate_e6
        FROM exchange_rate
        """

    /// Lines for all and for one customer concern every store; their priority is 0. `group:` keeps a price group
    /// that is called `*` apart from them. A price unit of 0 or none means that the amount is for one.
    private static let tradeAgreements = """
        SELECT
            CASE line.account_code WHEN 'group' THEN 'group:' || line.account_relation ELSE '*' END AS scope,
            line.product_id, line.line_id, line.account_code, line.account_relation, line.unit, line.currency,
            CASE line.account_code WHEN 'group' THEN ifnull(price_group.priority, 0) ELSE 0 END AS priority,
            CAST(round(line.qty_from * 10000) AS INTEGER) AS quantity_from_e4,
            CAST(round(line.qty_to * 10000) AS INTEGER) AS quantity_to_e4,
            line.from_date, line.to_date,
            CAST(round(line.amount * 10000) AS INTEGER) AS amount_e4,
            ifnull(nullif(CAST(round(line.price_unit * 10000) AS INTEGER), 0), 10000) AS price_unit_e4,
            line.find_next
        FROM trade_agreement AS line
        LEFT JOIN price_group ON price_group.price_group_id = line.account_relation
        WHERE line.account_code <> 'group' OR line.account_relation IS NOT NULL
        """

    /// Only groups that have a line: chains give every store a group of its own, mostly empty, and stores that
    /// differ in empty scopes alone would share no package.
    private static let membersOfTradeAgreements = """
        SELECT store_id, '*' AS scope FROM store
        UNION ALL
        SELECT member.store_id, 'group:' || member.price_group_id
        FROM store_price_group AS member
        JOIN store ON store.store_id = member.store_id
        WHERE member.price_group_id IN (SELECT account_relation FROM trade_agreement WHERE account_code = 'group')
        """

    /// (adjustment_id, product_id): the adjustments in force at all, exploded to products.
    private static let adjustedProducts = TemporaryTable(
        "retail_adjusted", index: ["adjustment_id", "product_id"],
        """
        SELECT adjustment.adjustment_id, category_product.product_id
        FROM price_adjustment AS adjustment
        JOIN retail_category_product AS category_product ON category_product.category_id = adjustment.category_id
        WHERE adjustment.status = 'enabled'
        UNION
        SELECT adjustment.adjustment_id, product.product_id
        FROM price_adjustment AS adjustment
        JOIN product ON product.product_id = adjustment.product_id
        WHERE adjustment.status = 'enabled'
        """)

    private static let priceAdjustments = """
        SELECT
            'group:' || adjustment.price_group_id AS scope,
            adjusted.product_id, adjustment.adjustment_id, adjustment.from_date, adjustment.to_date,
            adjustment.currency, adjustment.kind, CAST(round(adjustment.value * 10000) AS INTEGER) AS value_e4
        FROM price_adjustment AS adjustment
        JOIN retail_adjusted AS adjusted ON adjusted.adjustment_id = adjustment.adjustment_id
        """

    /// Again only groups that have a row.
    private static let membersOfPriceAdjustments = """
        SELECT member.store_id, 'group:' || member.price_group_id AS scope
        FROM store_price_group AS member
        JOIN store ON store.store_id = member.store_id
        WHERE member.price_group_id IN (
            SELECT adjustment.price_group_id
            FROM price_adjustment AS adjustment
            JOIN retail_adjusted AS adjusted ON adjusted.adjustment_id = adjustment.adjustment_id
        )
        """
}
