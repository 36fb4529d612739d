import GRDB
import WaybillDatabase
import WaybillModel

/// Writes deliveries, many in one transaction: what SQLite makes of a statement is made once for a connection, not
/// once for each delivery.
public struct DeliveryWriter {
    private let db: Database
    private let whole: Statement
    /// As ``DeliveryStep/ordinary``.
    private let steps: [Statement]

    public init(in db: Database) throws {
        self.db = db
        whole = try db.cachedStatement(sql: DeliveryWriter.wholeSQL)
        steps = try DeliveryWriter.stepSQL.map { try db.cachedStatement(sql: $0) }
    }

    private static let columns = DeliveryColumn.key + DeliveryColumn.facts

    /// An update where there is one: replacing the row would touch its key and all of its indexes.
    private static let wholeSQL = """
        INSERT INTO delivery (\(columns.map(\.name).joined(separator: ", ")))
        VALUES (\(columns.map { _ in "?" }.joined(separator: ", ")))
        ON CONFLICT (session, store_id) DO UPDATE SET
            \(DeliveryColumn.facts.map { "\($0.name) = excluded.\($0.name)" }.joined(separator: ", "))
        """

    /// Primary key. Touches none of the indexes but those on is_open and status, where a step names these.
    private static let stepSQL = DeliveryStep.ordinary.map { step in
        """
        UPDATE delivery SET \(step.places.map { "\(DeliveryColumn.facts[$0].name) = ?" }.joined(separator: ", "))
        WHERE session = ? AND store_id = ? AND run = ? AND status = ?
        """
    }

    /// Writes the delivery as it is now.
    ///
    /// - Parameter stored: what `hub.db` has of it, when that is known: then only what differs is written. Where it
    ///   has no such row, or plainly another one, all of the delivery is.
    public func save(_ delivery: Delivery, over stored: Delivery? = nil) throws {
        if let stored, stored.session == delivery.session, stored.store == delivery.store,
            let step = DeliveryStep.between(stored, delivery)
        {
            let values =
                DeliveryStep.ordinary[step].places.map { DeliveryColumn.facts[$0].value(delivery) } + [
                    delivery.session.number.databaseValue, delivery.store.rawValue.databaseValue,
                    stored.run.databaseValue, stored.status.rawValue.databaseValue,
                ]
            if try steps[step].execute(binding: values, in: db) == 1 { return }
        }
        try whole.execute(binding: DeliveryWriter.columns.map { $0.value(delivery) }, in: db)
    }
}
