import WaybillAdmin
import WaybillModel

extension Waiting {
    /// Sessions that no store is offered until somebody approves them.
    public static func held(_ sessions: [SessionSummary]) -> [SessionSummary] {
        sessions.filter { $0.status == SessionStatus.awaitingApproval.rawValue }
    }

    /// Why they are held back, and what to do: two lines for each.
    public static func heldLines(_ sessions: [SessionSummary]) -> [String] {
        held(sessions).flatMap { session in
            [
                TerminalText.plain(
                    "session \(session.id) of job \(session.job) awaits approval"
                        + (session.message.map { ": \($0)" } ?? "")),
                "let it go with: waybill session approve \(session.id.number), or: waybill session cancel "
                    + "\(session.id.number)",
            ]
        }
    }
}

extension SessionViews {
    /// The lines of a session's detail that say why it was held back.
    static func approval(_ approval: ApprovalDetail, _ session: SessionSummary, _ screen: Screen) -> [String] {
        let indent = "            "
        var lines = [screen.line("  held      \(Humane.moment(approval.heldAt)), because", .warning)]
        lines += PlanViews.wrapped(indent, approval.reason, .warning, screen)
        if session.status == SessionStatus.awaitingApproval.rawValue {
            let stores = Humane.count(approval.stores.count, "store")
            lines += PlanViews.wrapped(
                indent,
                "\(stores) would get it; let it go with: waybill session approve \(session.id.number), or: "
                    + "waybill session cancel \(session.id.number)", .plain, screen)
        } else if let at = approval.approvedAt {
            lines.append(screen.line("  approved  \(Humane.moment(at))"))
        }
        return lines
    }
}
