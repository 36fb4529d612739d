import WaybillModel

/// The tables that the retail jobs fill: the contract with the tills (DESIGN.md, section 6).
///
/// Keys begin with what a till searches by, for a key is the only index we promise.
enum StoreTables {
    // MARK: assortments

    static let category = TableShape(
        name: "category",
        columns: [
            ColumnShape("category_id", .text), ColumnShape("parent_category_id", .text, nullable: true),
            ColumnShape("name", .text, nullable: true),
        ],
        key: ["category_id"])

    static let product = TableShape(
        name: "product",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("category_id", .text, nullable: true),
            ColumnShape("name", .text, nullable: true),
            ColumnShape("sales_unit", .text, nullable: true),
        ],
        key: ["product_id"])

    /// `valid_to` is the last day; NULL means open.
    static let assortedProduct = TableShape(
        name: "assorted_product",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("valid_from", .text),
            ColumnShape("valid_to", .text, nullable: true),
        ],
        key: ["product_id", "valid_from"])

    // MARK: delivery-modes

    static let deliveryMode = TableShape(
        name: "delivery_mode",
        columns: [ColumnShape("mode_id", .text), ColumnShape("name", .text, nullable: true)],
        key: ["mode_id"])

    static let productDeliveryMode = TableShape(
        name: "product_delivery_mode",
        columns: [ColumnShape("product_id", .text), ColumnShape("mode_id", .text)],
        key: ["product_id", "mode_id"])

    /// `state` is '' where the country has none.
    static let deliveryModeAddress = TableShape(
        name: "delivery_mode_address",
        columns: [ColumnShape("mode_id", .text), ColumnShape("country", .text), ColumnShape("state", .text)],
        key: ["mode_id", "country", "state"])

    // MARK: prices

    static let priceBase = TableShape(
        name: "price_base",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("unit", .text), ColumnShape("currency", .text),
            ColumnShape("base_price_e4", .integer),
        ],
        key: ["product_id"])

    static let exchangeRate = TableShape(
        name: "exchange_rate",
        columns: [
            ColumnShape("from_currency", .text), ColumnShape("to_currency", .text), ColumnShape("valid_from", .text),
            ColumnShape("rate_e6", .integer),
        ],
        key: ["from_currency", "to_currency", "valid_from"])

    /// `account_relation` names the customer, the price group, or (for all) nobody.
    static let tradeAgreement = TableShape(
        name: "trade_agreement",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("line_id", .text), ColumnShape("account_code", .text),
            ColumnShape("account_relation", .text, nullable: true), ColumnShape("unit", .text),
            ColumnShape("currency", .text), ColumnShape("priority", .integer),
            ColumnShape("quantity_from_e4", .integer, nullable: true),
            ColumnShape("quantity_to_e4", .integer, nullable: true),
            ColumnShape("from_date", .text, nullable: true), ColumnShape("to_date", .text, nullable: true),
            ColumnShape("amount_e4", .integer), ColumnShape("price_unit_e4", .integer),
            ColumnShape("find_next", .integer),
        ],
        key: ["product_id", "line_id"])

    static let priceAdjustment = TableShape(
        name: "price_adjustment",
        columns: [
            ColumnShape("product_id", .text), ColumnShape("adjustment_id", .text),
            ColumnShape("from_date", .text, nullable: true), ColumnShape("to_date", .text, nullable: true),
            ColumnShape("currency", .text, nullable: true), ColumnShape("kind", .text),
            ColumnShape("value_e4", .integer),
        ],
        key: ["product_id", "adjustment_id"])
}
