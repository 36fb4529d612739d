import Foundation
import WaybillModel

/// The statements that a job's definition adds up to.
extension Subjob {
    /// The scope of rows that every store sees.
    public static let everyScope = "*"

    /// SELECT whose first column is `_scope` and whose others are named as the table's columns, in their order.
    public var rows: String {
        let columns = table.columns.map { quotedName($0.name) }.joined(separator: ", ")
        let scope =
            switch stores {
            case .everyStore: "'\(Subjob.everyScope)'"
            case .column(let column, _): quotedName(column)
            }
        // On lines of their own: a person's text may end in a comment.
        var text = "SELECT \(scope) AS _scope, \(columns) FROM (\n\(query.text)\n)"
        var conditions = filter.map { ["(\n\($0.text)\n)"] } ?? []
        if let expiry, let day = expiry.firstDay {
            let column = quotedName(expiry.column)
            conditions.append("(\(column) IS NULL OR \(column) >= '\(day)')")
        }
        if !conditions.isEmpty { text += " WHERE " + conditions.joined(separator: " AND ") }
        return text
    }

    /// SELECT store_id, scope.
    public var members: String {
        switch stores {
        case .everyStore: "SELECT store_id, '\(Subjob.everyScope)' AS scope FROM store"
        case .column(_, let members):
            "WITH member (store_id, scope) AS (\n\(members.text)\n) SELECT store_id, scope FROM member"
        }
    }
}

extension PrepareTable {
    /// Makes and fills the temporary table, and its index.
    public var statements: [String] {
        let create = "CREATE TEMP TABLE \(quotedName(name)) AS\n\(query.text)"
        guard !index.isEmpty else { return [create] }
        let columns = index.map(quotedName).joined(separator: ", ")
        return [create, "CREATE INDEX temp.\(quotedName(name + "_index")) ON \(quotedName(name)) (\(columns))"]
    }
}

extension Slice {
    /// The temporary table of the slice's values.
    public var table: String { "slice_" + name }
}

extension Job {
    /// The subjobs in an order in which each comes after those whose rows its queries read; ties as they stand.
    ///
    /// A circle is refused where jobs are read; here it would leave the order as it is.
    public var subjobsInOrderOfWork: [Subjob] {
        var done: Set<String> = []
        var order: [Subjob] = []
        var left = subjobs
        while !left.isEmpty {
            let index = left.firstIndex { done.isSuperset(of: $0.after) } ?? 0
            let next = left.remove(at: index)
            done.insert(next.table.name)
            order.append(next)
        }
        return order
    }

    /// The job as it is at a time: with the rows left out that have expired by then (days of UTC).
    public func at(_ now: Timestamp) -> Job {
        var job = self
        for index in job.subjobs.indices {
            guard let expiry = job.subjobs[index].expiry else { continue }
            let day = Date(timeIntervalSince1970: Double(now.milliseconds) / 1000 - Double(expiry.afterDays) * 86_400)
            job.subjobs[index].expiry?.firstDay = day.formatted(.iso8601.year().month().day())
        }
        return job
    }
}

/// A name as SQL reads it. Names in jobs are plain (``TableShape/isPlainName(_:)``) once the job has been checked.
func quotedName(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
