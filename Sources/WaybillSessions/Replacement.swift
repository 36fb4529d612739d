import GRDB
import WaybillModel

/// A session for a delivery whose rows are no longer kept.
public struct Replacement: Hashable, Sendable {
    public var session: SessionID
    /// It was begun by this call, and has to be built.
    public var isNew: Bool

    /// The session that brings a store what a delivery to it can bring no more: one that is on its way to the store
    /// already, or a new one for this store alone. When it is offered it supersedes the delivery.
    public static func find(
        for session: SessionRecord, _ store: StoreID, at now: Timestamp, random: UInt64, in db: Database
    ) throws -> Replacement {
        // Index session_by_job; there are few sessions between a delivery and the newest that are still being built.
        let begun = try Row.fetchAll(
            db, sql: "SELECT * FROM session WHERE job = ? AND number > ? AND status = 'Started' ORDER BY number",
            arguments: [session.job.rawValue, session.id.number]
        ).compactMap(SessionRecord.init).first { $0.request.stores?.contains(store.rawValue) ?? true }
        if let begun { return Replacement(session: begun.id, isNew: false) }
        let newer = try DeliveryRecord.open(of: store, in: db).last {
            $0.job == session.job && $0.session.number > session.id.number && $0.isOnOffer
        }
        if let newer { return Replacement(session: newer.session, isNew: false) }
        let id = try SessionRecord.create(
            job: session.job, request: SessionRequest(isFull: false, stores: [store.rawValue]), at: now,
            random: random, in: db)
        return Replacement(session: id, isNew: true)
    }
}
