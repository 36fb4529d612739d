import Foundation
import GRDB
import WaybillAgent
import WaybillApply
import WaybillDatabase
import WaybillHub
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillWire

/// Bugs that can be planted, to see whether the checker finds them.
///
/// Each does what a mistake in the product would do, but from outside: to the databases, files, letters and keys of a
/// world. So the product holds no switch for any of them.
public enum Sabotage: String, CaseIterable, Sendable {
    /// The fold lets a late report take a delivery back.
    case foldAcceptsRegressions = "fold-accepts-regressions"
    /// The watermark is committed before its rows.
    case watermarkApart = "watermark-apart"
    /// A delta is applied whatever the store stands at.
    case wrongBase = "wrong-base"
    /// Reports are forgotten when they have been sent.
    case outboxClearedEarly = "outbox-cleared-early"
    /// Reports are acknowledged before they are written down.
    case acknowledgedEarly = "acknowledged-early"
    /// A cancel is answered for a store that was let have the session already.
    case cancelWithoutStore = "cancel-without-store"
    /// The random part of a session's name is always the same.
    case sessionNamesRepeat = "session-names-repeat"
    /// A rerun keeps the number of the run.
    case rerunKeepsRun = "rerun-keeps-run"
    /// The tables of a session become visible one after the other.
    case tablesOneByOne = "tables-one-by-one"
    /// What was unpacked is applied although its content was changed.
    case contentUnchecked = "content-unchecked"
    /// A process that starts anew goes on with the incarnation of the last.
    case incarnationStays = "incarnation-stays"
    /// A store that moved is told that there is nothing for it.
    case noDataForMoved = "no-data-for-moved"
    /// A superseded session is applied over the newer one.
    case supersededApplied = "superseded-applied"
    /// Nobody brings back a store that has lost what it had.
    case catchUpForgotten = "catch-up-forgotten"
    /// What awaits approval is let out.
    case approvalIgnored = "approval-ignored"
    /// The key of a machine that was replaced is good as before.
    case formerKeysObeyed = "former-keys-obeyed"
    /// Keys that a delta removes are left where they are.
    case removalsIgnored = "removals-ignored"
    /// A grant goes out before it is written down, and is not written down.
    case grantUnwritten = "grant-unwritten"
    /// The promise never to apply a session is not kept.
    case promiseForgotten = "promise-forgotten"
    /// A run that was applied is applied again.
    case appliedAgain = "applied-again"
    /// Half of the rows are committed when an apply is cut short.
    case halfCommitted = "half-committed"
    /// Two machines with one identity are both obeyed.
    case twinsObeyed = "twins-obeyed"
}

extension Sabotage {
    /// The troubles in which the bug does harm, and how strong they are: with nothing else, it is found within few
    /// schedules.
    var focus: [Trouble: Double]? {
        switch self {
        case .outboxClearedEarly, .acknowledgedEarly: [.lost: 1, .canceled: 1, .agentKilled: 1, .fullPublish: 1]
        case .cancelWithoutStore: [.canceled: 1, .delayed: 5, .fullPublish: 1]
        case .promiseForgotten: [.canceled: 1, .lost: 1, .delayed: 3, .fullPublish: 1]
        case .grantUnwritten: [.canceled: 1, .delayed: 2, .fullPublish: 1]
        case .rerunKeepsRun: [.rerun: 1, .canceled: 1]
        case .incarnationStays: [.storeRestored: 1, .machineRestored: 1, .agentKilled: 1]
        case .noDataForMoved: [.storeMoved: 1]
        case .catchUpForgotten: [.storeRestored: 1]
        case .approvalIgnored: [.held: 1]
        case .formerKeysObeyed: [.machineReplaced: 1, .fullPublish: 0.5]
        case .twinsObeyed: [.twins: 1, .fullPublish: 1]
        case .wrongBase: [.storeRestored: 1]
        case .supersededApplied: [.delayed: 2, .halfOpen: 1]
        case .appliedAgain: [.rerun: 1, .repeated: 1, .agentKilled: 1]
        case .halfCommitted, .watermarkApart: [.lost: 0.2]
        default: nil
        }
    }
}
