import WaybillModel
import Yams

/// Reads the entries of `subjobs`.
struct SubjobReader {
    let sink: FaultSink

    static let settings = [
        "table", "key", "columns", "rows", "stores", "where", "after", "slice", "index", "policy", "removal",
        "lock_budget_ms", "price", "drop_expired_after_days", "expires_by", "references", "why",
    ]

    func subjob(_ node: Node) -> Subjob? {
        guard let section = Section(node, "a subjob", known: SubjobReader.settings, sink) else { return nil }
        let name = section.requiredName("table")
        let (columns, former) = columns(section)
        let key = section.strings("key")
        if section.node("key") == nil {
            sink.add(section.line, "the subjob has no 'key'", hint: "the columns that tell its rows apart, as [a, b]")
        }
        let query = section.requiredSQL("rows")
        let stores = stores(section)
        guard let name, let query, let stores, !columns.isEmpty, !key.isEmpty else { return nil }
        let shape = TableShape(name: name, columns: columns, key: key)
        if let fault = shape.fault {
            sink.add(section.line(of: "key"), fault, hint: "key columns are columns of the table and not 'null'")
        }
        var subjob = Subjob(
            table: shape, query: query, stores: stores, filter: section.sql("where"),
            expiry: expiry(section, columns), after: section.plainNames("after"), slice: slice(section),
            index: section.plainNames("index"), formerNames: former,
            policy: section.word("policy", Subjob.Policy.self) ?? .delta,
            removal: section.word("removal", Subjob.Removal.self) ?? .delete,
            lockBudgetMilliseconds: section.integer("lock_budget_ms", in: 1...60_000),
            priceColumn: price(section, columns), explanation: explanation(section), line: section.line)
        subjob.references = references(section, columns)
        return subjob
    }

    // MARK: columns

    private func columns(_ section: Section) -> ([ColumnShape], [String: String]) {
        guard let (node, line) = section.node("columns") else {
            sink.add(
                section.line, "the subjob has no 'columns'", hint: "as 'price_cents: integer' or 'note: text null'")
            return ([], [:])
        }
        guard let entries = Section(node, "'columns'", known: [], sink) else { return ([], [:]) }
        var columns: [ColumnShape] = []
        var former: [String: String] = [:]
        for (name, node, line) in entries.all {
            guard TableShape.isPlainName(name) else {
                sink.add(line, "'\(name)' cannot be a column's name")
                continue
            }
            guard let column = column(name, node, line) else { continue }
            columns.append(column.shape)
            if let was = column.was { former[name] = was }
        }
        if columns.isEmpty { sink.add(line, "there is no column") }
        return (columns, former)
    }

    /// `text`, `text null`, or `{type: text, null: true, was: NAME}`.
    private func column(_ name: String, _ node: Node, _ line: Int) -> (shape: ColumnShape, was: String?)? {
        var words: [String]
        var isNullable = false
        var was: String?
        if case .scalar(let scalar) = node {
            words = scalar.string.lowercased().split(separator: " ").map(String.init)
            if words.last == "null", words.count == 2 {
                isNullable = true
                words.removeLast()
            }
        } else {
            guard let section = Section(node, "column \(name)", known: ["type", "null", "was"], sink) else {
                return nil
            }
            words = section.required("type").map { [$0.lowercased()] } ?? []
            isNullable = section.flag("null") ?? false
            was = section.plainName("was")
        }
        guard words.count == 1, let type = ColumnType(rawValue: words[0].uppercased()) else {
            sink.add(
                line, "column \(name) has no type that we know",
                hint: "integer, real, text or blob, followed by 'null' where it may be empty")
            return nil
        }
        return (ColumnShape(name, type, nullable: isNullable), was)
    }

    // MARK: who sees what

    private func stores(_ section: Section) -> StoreRule? {
        guard let (node, line) = section.node("stores") else {
            sink.add(
                section.line, "the subjob has no 'stores'",
                hint: "'all', or {column: C} for a column with the store's id, or {column: C, members: QUERY}")
            return nil
        }
        if case .scalar(let scalar) = node {
            if scalar.string == "all" { return .everyStore }
            sink.add(line, "'stores' is 'all', or {column: C}, or {column: C, members: QUERY}")
            return nil
        }
        guard let rule = Section(node, "'stores'", known: ["column", "members"], sink),
            let column = rule.requiredName("column")
        else { return nil }
        if rule.node("members") == nil { return .storeColumn(column) }
        return rule.sql("members").map { .column(column, members: $0) }
    }

    private func slice(_ section: Section) -> SliceColumn? {
        guard let (node, line) = section.node("slice"), let entry = Section(node, "'slice'", known: [], sink) else {
            return nil
        }
        guard entry.all.count == 1, let first = entry.all.first, let column = first.node.scalar?.string else {
            sink.add(line, "'slice' names one slice and the column with its values, as {product: product_id}")
            return nil
        }
        return SliceColumn(slice: first.key, column: column)
    }

    // MARK: the rest

    private func price(_ section: Section, _ columns: [ColumnShape]) -> String? {
        guard let name = section.plainName("price") else { return nil }
        guard let column = columns.first(where: { $0.name == name }), [.integer, .real].contains(column.type) else {
            section.fault("price", "'price' must name a column of numbers of this table")
            return nil
        }
        return name
    }

    private func expiry(_ section: Section, _ columns: [ColumnShape]) -> Subjob.Expiry? {
        guard section.node("drop_expired_after_days") != nil else {
            if section.node("expires_by") != nil {
                section.fault("expires_by", "'expires_by' does nothing without 'drop_expired_after_days'")
            }
            return nil
        }
        guard let days = section.integer("drop_expired_after_days", in: 0...36_500) else { return nil }
        let column = section.plainName("expires_by")
        guard let column, columns.contains(where: { $0.name == column && $0.type == .text }) else {
            section.fault(
                "drop_expired_after_days", "rows cannot expire without 'expires_by'",
                hint: "the column that holds the last day of a row, as YYYY-MM-DD; empty for never")
            return nil
        }
        return Subjob.Expiry(column: column, afterDays: days)
    }

    private func explanation(_ section: Section) -> Explanation {
        guard let (node, _) = section.node("why"),
            let why = Section(node, "'why'", known: ["present", "absent"], sink)
        else { return Explanation() }
        return Explanation(present: why.sql("present"), absent: why.sql("absent"))
    }
}
