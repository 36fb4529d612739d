import WaybillModel

/// What a subjob says about the tables that its columns refer to.
extension SubjobReader {
    /// `{category_id: category}`.
    func references(_ section: Section, _ columns: [ColumnShape]) -> [String: String] {
        guard let (node, line) = section.node("references") else { return [:] }
        guard let entries = Section(node, "'references'", known: [], sink) else { return [:] }
        var references: [String: String] = [:]
        for (column, node, line) in entries.all {
            guard let table = node.scalar?.string, TableShape.isPlainName(table) else {
                sink.add(
                    line, "'references' names the table that column \(column) refers to, as {category_id: category}")
                continue
            }
            guard columns.contains(where: { $0.name == column }) else {
                sink.add(
                    line, "there is no column \(column) for 'references'",
                    hint: nearestName(to: column, among: columns.map(\.name)).map { "did you mean '\($0)'?" })
                continue
            }
            references[column] = table
        }
        if entries.all.isEmpty { sink.add(line, "'references' names no column") }
        return references
    }
}

extension JobRules {
    /// A table that is referred to is one of the same job, whose rows come together with these, and one column is enough
    /// to name its row.
    func checkReferences() {
        for subjob in job.subjobs {
            for (column, table) in subjob.references.sorted(by: { $0.key < $1.key }) {
                let parent = job.subjobs.first { $0.table.name == table }
                guard let parent else {
                    section.sink.add(
                        subjob.line, "'references': column \(column) refers to \(table), which is no table of this job",
                        hint: nearestName(to: table, among: job.subjobs.map(\.table.name)).map {
                            "did you mean '\($0)'?"
                        })
                    continue
                }
                if parent.table.key.count != 1 {
                    section.sink.add(
                        subjob.line, "'references': table \(table) has a key of \(parent.table.key.count) columns",
                        hint: "only a table with one key column can be referred to")
                }
            }
        }
    }
}
