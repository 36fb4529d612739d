import WaybillJobs
import WaybillModel

/// A limit of a job that a package exceeds at its stores.
public struct Excess: Sendable, Equatable {
    public enum Limit: Sendable, Equatable {
        case removedRows(TableImpact, percentMax: Double)
        case price(PriceMove, table: String, percentMax: Double)
        case rows(Int64, max: Int64)
    }

    public var limit: Limit
    /// All stores of the package: one audience at one content, so it exceeds at each of them alike. Never empty.
    public var stores: [StoreID]

    /// The same change at stores of several packages as one, in the order of their first appearance.
    public static func merged(_ excesses: [Excess]) -> [Excess] {
        var places: [String: Int] = [:]
        var merged: [Excess] = []
        for excess in excesses {
            if let place = places[excess.change] {
                merged[place].stores += excess.stores
            } else {
                places[excess.change] = merged.count
                merged.append(excess)
            }
        }
        return merged
    }

    /// The whole sentence: `store S7 would lose 412 of 500 rows of product (82.4 %, limit 30 %)`.
    public var sentence: String {
        let first = stores.first?.rawValue ?? ""
        let others = stores.count - 1
        let who = "store \(first)" + (others > 0 ? " and \(others) other\(others == 1 ? "" : "s")" : "")
        return "\(who) would \(change)"
    }

    /// What would happen there: `lose 412 of 500 rows of product (82.4 %, limit 30 %)`.
    public var change: String {
        switch limit {
        case .removedRows(let impact, let percentMax):
            let percent = NumberText.percent(impact.removedPercent ?? 0)
            return "lose \(NumberText.count(impact.removed)) of \(NumberText.count(impact.had ?? 0)) rows of "
                + "\(impact.table) (\(percent) %, limit \(NumberText.percent(percentMax)) %)"
        case .price(let move, let table, let percentMax):
            let percent = move.percent ?? 0
            return "see \(move.column) of \(move.key.joined(separator: ", ")) in \(table) go from "
                + "\(NumberText.price(move.before)) to \(NumberText.price(move.after)) "
                + "(\(percent < 0 ? "" : "+")\(NumberText.percent(percent)) %, "
                + "limit \(NumberText.percent(percentMax)) %)"
        case .rows(let rows, let max):
            return "have \(NumberText.count(rows)) rows added, changed or removed (limit \(NumberText.count(max)))"
        }
    }
}

extension ChangeLimits {
    /// Every limit that a package of this impact exceeds, in the order of the tables; none for a first load.
    public func exceeded(by impact: Impact, at stores: [StoreID]) -> [Excess] {
        guard impact.kind == .delta, !stores.isEmpty else { return [] }
        var limits: [Excess.Limit] = []
        for table in impact.tables {
            if let most = maxRemovedPercent, table.removed > removedRowsFree, let percent = table.removedPercent,
                percent > most
            {
                limits.append(.removedRows(table, percentMax: most))
            }
            if let most = maxPriceChangePercent, let move = table.priceMoves.first, let percent = move.percent,
                abs(percent) > most
            {
                limits.append(.price(move, table: table.table, percentMax: most))
            }
        }
        if let most = maxRows, impact.rows > most { limits.append(.rows(impact.rows, max: most)) }
        return limits.map { Excess(limit: $0, stores: stores) }
    }

    /// Whether anything is limited at all; if not, there is nothing to count.
    public var areAny: Bool { maxRemovedPercent != nil || maxPriceChangePercent != nil || maxRows != nil }
}
