import GRDB

/// Versions over which a store was to have one and the same row.
public struct RowSpan: Sendable, Equatable {
    /// In the order of the table's columns.
    public var values: [DatabaseValue]
    /// What the store sees the row through; at the end of the span, when it was more than one thing in turn.
    public var scope: String
    public var from: Int64
    /// The first version without it; `Int64.max` for none.
    public var to: Int64

    public init(values: [DatabaseValue], scope: String, from: Int64, to: Int64) {
        self.values = values
        self.scope = scope
        self.from = from
        self.to = to
    }

    public func holds(at version: Int64) -> Bool { from <= version && version < to }

    /// A row as it stood in a scope, or the time for which a store saw a scope.
    struct Version: Equatable {
        var scope: String
        var born: Int64
        var died: Int64
        var values: [DatabaseValue] = []
    }

    /// What a store was to have under one key, oldest first.
    ///
    /// A store that changes its scope and finds the same row there has had it all the time: nothing travelled.
    static func spans(rows: [Version], seen: [Version]) -> [RowSpan] {
        var pieces: [RowSpan] = []
        for row in rows {
            for member in seen where member.scope == row.scope {
                let from = max(row.born, member.born)
                let to = min(row.died, member.died)
                if from < to { pieces.append(RowSpan(values: row.values, scope: row.scope, from: from, to: to)) }
            }
        }
        pieces.sort { ($0.from, $0.to) < ($1.from, $1.to) }
        var spans: [RowSpan] = []
        for piece in pieces {
            if let last = spans.last, last.values == piece.values, piece.from <= last.to {
                spans[spans.count - 1].to = max(last.to, piece.to)
                spans[spans.count - 1].scope = piece.scope
            } else {
                spans.append(piece)
            }
        }
        return spans
    }
}
