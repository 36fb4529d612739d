/// What the fields of one row must be to each other, beyond what their columns allow.
///
/// Each follows from the retail processing rules: a row that breaks one would mean nothing, or something that nobody
/// intends (a price below zero, a line that covers nothing).
enum RowRule: Equatable {
    /// Days are inclusive at both ends: an end before its start covers no day.
    case dayOrder(from: String, to: String)
    /// Quantities are inclusive at both ends as well.
    case numberOrder(from: String, to: String)
    /// A line covers a category or a product.
    case exactlyOne(String, String)
    /// `column` has a value where `word` is not `unless`, and none where it is.
    case present(String, word: String, unless: String)
    /// With `kind` = `word`, more than `limit` would take a price below zero.
    case atMost(String, limit: Int, kind: String, word: String)
    case positive(String)

    static func rules(of table: String) -> [RowRule] {
        switch table {
        case "assortment": [.dayOrder(from: "effective_from", to: "effective_to")]
        case "assortment_line", "delivery_mode_product": [.exactlyOne("category_id", "product_id")]
        case "trade_agreement":
            [
                .present("account_relation", word: "account_code", unless: "all"),
                .numberOrder(from: "qty_from", to: "qty_to"), .dayOrder(from: "from_date", to: "to_date"),
            ]
        case "price_adjustment":
            [
                .exactlyOne("category_id", "product_id"), .dayOrder(from: "from_date", to: "to_date"),
                .atMost("value", limit: 100, kind: "kind", word: "percent"),
            ]
        case "exchange_rate": [.positive("rate")]
        default: []
        }
    }
}

/// A row whose fields have been read: its values in the table's order, and the bytes that texts point into.
struct RowValues {
    var columns: [String: Int]
    var values: [FieldValue]
    var bytes: UnsafeBufferPointer<UInt8>

    /// nil where the field is faulty itself: then nothing can be said about it and another.
    fileprivate func value(_ column: String) -> FieldValue? {
        guard let index = columns[column], values[index] != .faulty else { return nil }
        return values[index]
    }

    fileprivate func text(_ column: String) -> Slice<UnsafeBufferPointer<UInt8>>? {
        guard case .text(let range) = value(column) else { return nil }
        return bytes[range]
    }
}

extension RowRule {
    /// The column that breaks the rule (nil: the row as a whole) and why; nil when the rule holds.
    func fault(in row: RowValues) -> (column: String?, reason: String)? {
        switch self {
        case .dayOrder(let from, let to):
            guard let first = row.text(from), let last = row.text(to), last.lexicographicallyPrecedes(first) else {
                return nil
            }
            return (to, "\(excerpt(last)) is before \(from) \(excerpt(first))")
        case .numberOrder(let from, let to):
            guard let first = row.value(from)?.number, let last = row.value(to)?.number, last < first else {
                return nil
            }
            return (to, "the value is below \(from)")
        case .exactlyOne(let one, let other):
            guard let first = row.value(one), let second = row.value(other) else { return nil }
            if first == .null, second == .null { return (nil, "neither \(one) nor \(other) has a value") }
            if first != .null, second != .null {
                return (nil, "\(one) and \(other) have both a value; one must be empty")
            }
            return nil
        case .present(let column, let word, let unless):
            guard let value = row.value(column), let found = row.text(word) else { return nil }
            let isForAll = found.elementsEqual(unless.utf8)
            if isForAll, value != .null { return (column, "there is a value, although \(word) is '\(unless)'") }
            if !isForAll, value == .null {
                return (column, "the value is missing, although \(word) is \(excerpt(found))")
            }
            return nil
        case .atMost(let column, let limit, let kind, let word):
            guard let number = row.value(column)?.number, number > Double(limit),
                let found = row.text(kind), found.elementsEqual(word.utf8)
            else { return nil }
            return (column, "the value is over \(limit), although \(kind) is '\(word)'")
        case .positive(let column):
            guard let number = row.value(column)?.number, number <= 0 else { return nil }
            return (column, "the value must be over 0")
        }
    }
}
