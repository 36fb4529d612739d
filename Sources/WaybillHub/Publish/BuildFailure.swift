import GRDB
import WaybillDatabase
import WaybillSessions

extension SessionBuilder {
    /// Writes down why a session could not be built.
    ///
    /// When not even that can be written, because the same disk is full, the wire thread is left with it: it tries
    /// again in every turn, so the session does not stay `Started` until somebody starts the hub anew.
    func giveUp(_ session: SessionRecord, because error: any Error) throws {
        var session = session
        session.status = .createFailed
        session.message = "\((error as? DatabaseError)?.told(of: home.rowsDatabase) ?? error)"
        do {
            try operations.write { try session.save(in: $0) }
        } catch {
            post(.offer(session, [], []) {})
            throw error
        }
    }
}
