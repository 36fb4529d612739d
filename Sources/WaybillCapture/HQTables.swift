import WaybillModel

/// What a value in an HQ column may be. Decides the column's declaration, its CHECK, and how a CSV field is read.
public enum HQColumnKind: Sendable, Equatable {
    /// UTF-8 text without control characters, not empty.
    case text
    /// As `text`, but an empty value is stored as an empty text: part of a key where a place has no states.
    case textOrEmpty
    /// A calendar day as `YYYY-MM-DD`.
    case date
    /// A decimal number, not negative, with at most `digits` digits after the point.
    case decimal(digits: Int)
    /// A whole number, not negative unless said.
    case integer(allowsNegative: Bool)
    /// 0 or 1.
    case flag
    /// One of these words.
    case word([String])
}

/// One column of an HQ table.
public struct HQColumn: Sendable, Equatable {
    public var name: String
    public var kind: HQColumnKind
    public var isNullable: Bool

    public init(_ name: String, _ kind: HQColumnKind, nullable: Bool = false) {
        self.name = name
        self.kind = kind
        self.isNullable = nullable
    }
}

/// A column whose values name rows of another table.
public struct HQReference: Sendable, Equatable {
    public var column: String
    public var table: String
    public var referencedColumn: String
    /// False where the retail rules give an unknown name a meaning ("covers nothing"): `import` then warns.
    public var isRequired: Bool

    public init(_ column: String, _ table: String, _ referencedColumn: String, required: Bool = true) {
        self.column = column
        self.table = table
        self.referencedColumn = referencedColumn
        self.isRequired = required
    }
}

/// One business table of `hq.db`: names and columns of the CSV files that integrators feed.
public struct HQTable: Sendable, Equatable {
    public var name: String
    public var columns: [HQColumn]
    public var key: [String]
    /// Checked by `import`, not by the database: an ERP that writes with plain SQL may fill tables in any order.
    public var references: [HQReference]

    public init(_ name: String, key: [String], _ columns: [HQColumn], references: [HQReference] = []) {
        self.name = name
        self.key = key
        self.columns = columns
        self.references = references
    }
}

/// The catalogue of HQ's business tables (retail-processing rules, inputs). Parents stand before children.
public enum HQCatalogue {
    public static let tables: [HQTable] = [
        HQTable(
            "org_node", key: ["node_id"],
            [
                HQColumn("node_id", .text), HQColumn("parent_node_id", .text, nullable: true),
                HQColumn("kind", .text, nullable: true), HQColumn("name", .text, nullable: true),
            ],
            references: [HQReference("parent_node_id", "org_node", "node_id")]),
        HQTable(
            "legal_entity", key: ["legal_entity_id"], [HQColumn("legal_entity_id", .text), HQColumn("currency", .text)]),
        HQTable(
            "store", key: ["store_id"],
            [
                HQColumn("store_id", .text), HQColumn("node_id", .text), HQColumn("channel", .text),
                HQColumn("name", .text, nullable: true), HQColumn("country", .text, nullable: true),
                HQColumn("state", .text, nullable: true), HQColumn("legal_entity_id", .text),
                HQColumn("currency", .text),
            ],
            references: [
                HQReference("node_id", "org_node", "node_id"),
                HQReference("legal_entity_id", "legal_entity", "legal_entity_id"),
            ]),
        HQTable(
            "category", key: ["category_id"],
            [
                HQColumn("category_id", .text), HQColumn("parent_category_id", .text, nullable: true),
                HQColumn("name", .text, nullable: true),
            ],
            references: [HQReference("parent_category_id", "category", "category_id")]),
        HQTable(
            "product", key: ["product_id"],
            [
                HQColumn("product_id", .text), HQColumn("category_id", .text, nullable: true),
                HQColumn("name", .text, nullable: true), HQColumn("sales_unit", .text, nullable: true),
            ],
            references: [HQReference("category_id", "category", "category_id")]),
        HQTable(
            "product_release", key: ["product_id", "legal_entity_id"],
            [
                HQColumn("product_id", .text), HQColumn("legal_entity_id", .text),
                HQColumn("base_price", .decimal(digits: 4), nullable: true), HQColumn("stopped", .flag),
            ],
            references: [
                HQReference("product_id", "product", "product_id"),
                HQReference("legal_entity_id", "legal_entity", "legal_entity_id"),
            ]),
        HQTable(
            "assortment", key: ["assortment_id"],
            [
                HQColumn("assortment_id", .text), HQColumn("name", .text, nullable: true),
                HQColumn("status", .word(["draft", "published"])), HQColumn("effective_from", .date),
                HQColumn("effective_to", .date, nullable: true),
            ]),
        HQTable(
            "assortment_line", key: ["assortment_id", "line_no"],
            [
                HQColumn("assortment_id", .text), HQColumn("line_no", .integer(allowsNegative: false)),
                HQColumn("line_type", .word(["include", "exclude"])), HQColumn("category_id", .text, nullable: true),
                HQColumn("product_id", .text, nullable: true),
            ],
            references: [
                HQReference("assortment_id", "assortment", "assortment_id"),
                HQReference("category_id", "category", "category_id", required: false),
                HQReference("product_id", "product", "product_id", required: false),
            ]),
        HQTable(
            "assortment_node", key: ["assortment_id", "node_id"],
            [HQColumn("assortment_id", .text), HQColumn("node_id", .text)],
            references: [
                HQReference("assortment_id", "assortment", "assortment_id"),
                HQReference("node_id", "org_node", "node_id"),
            ]),
        HQTable(
            "delivery_mode", key: ["mode_id"], [HQColumn("mode_id", .text), HQColumn("name", .text, nullable: true)]),
        HQTable(
            "delivery_mode_node", key: ["mode_id", "node_id"],
            [HQColumn("mode_id", .text), HQColumn("node_id", .text)],
            references: [
                HQReference("mode_id", "delivery_mode", "mode_id"), HQReference("node_id", "org_node", "node_id"),
            ]),
        HQTable(
            "delivery_mode_product", key: ["mode_id", "line_no"],
            [
                HQColumn("mode_id", .text), HQColumn("line_no", .integer(allowsNegative: false)),
                HQColumn("line_type", .word(["include", "exclude"])), HQColumn("category_id", .text, nullable: true),
                HQColumn("product_id", .text, nullable: true),
            ],
            references: [
                HQReference("mode_id", "delivery_mode", "mode_id"),
                HQReference("category_id", "category", "category_id", required: false),
                HQReference("product_id", "product", "product_id", required: false),
            ]),
        HQTable(
            "delivery_mode_address", key: ["mode_id", "line_no"],
            [
                HQColumn("mode_id", .text), HQColumn("line_no", .integer(allowsNegative: false)),
                HQColumn("line_type", .word(["include", "exclude"])), HQColumn("country", .text),
                HQColumn("state", .text, nullable: true),
            ],
            references: [HQReference("mode_id", "delivery_mode", "mode_id")]),
        // A country without states has one row with an empty state.
        HQTable("address", key: ["country", "state"], [HQColumn("country", .text), HQColumn("state", .textOrEmpty)]),
        HQTable(
            "price_group", key: ["price_group_id"],
            [
                HQColumn("price_group_id", .text), HQColumn("name", .text, nullable: true),
                HQColumn("priority", .integer(allowsNegative: true)),
            ]),
        HQTable(
            "store_price_group", key: ["store_id", "price_group_id"],
            [HQColumn("store_id", .text), HQColumn("price_group_id", .text)],
            references: [
                HQReference("store_id", "store", "store_id"),
                HQReference("price_group_id", "price_group", "price_group_id"),
            ]),
        HQTable(
            "trade_agreement", key: ["line_id"],
            [
                HQColumn("line_id", .text), HQColumn("account_code", .word(["table", "group", "all"])),
                HQColumn("account_relation", .text, nullable: true), HQColumn("product_id", .text),
                HQColumn("unit", .text), HQColumn("currency", .text),
                HQColumn("qty_from", .decimal(digits: 4), nullable: true),
                HQColumn("qty_to", .decimal(digits: 4), nullable: true), HQColumn("from_date", .date, nullable: true),
                HQColumn("to_date", .date, nullable: true), HQColumn("amount", .decimal(digits: 4)),
                HQColumn("price_unit", .decimal(digits: 4), nullable: true), HQColumn("find_next", .flag),
            ],
            references: [HQReference("product_id", "product", "product_id")]),
        HQTable(
            "price_adjustment", key: ["adjustment_id"],
            [
                HQColumn("adjustment_id", .text), HQColumn("status", .word(["enabled", "disabled"])),
                HQColumn("price_group_id", .text), HQColumn("category_id", .text, nullable: true),
                HQColumn("product_id", .text, nullable: true), HQColumn("from_date", .date, nullable: true),
                HQColumn("to_date", .date, nullable: true), HQColumn("currency", .text, nullable: true),
                HQColumn("kind", .word(["percent", "amount", "price"])), HQColumn("value", .decimal(digits: 4)),
            ],
            references: [
                HQReference("price_group_id", "price_group", "price_group_id"),
                HQReference("category_id", "category", "category_id"),
                HQReference("product_id", "product", "product_id"),
            ]),
        HQTable(
            "exchange_rate", key: ["from_currency", "to_currency", "valid_from"],
            [
                HQColumn("from_currency", .text), HQColumn("to_currency", .text), HQColumn("valid_from", .date),
                HQColumn("rate", .decimal(digits: 6)),
            ]),
    ]

    public static func table(_ name: String) -> HQTable? { tables.first { $0.name == name } }
}
