import WaybillModel

/// A part of a delivery's way, at the end of which the store has to say something.
public enum DeliveryStage: String, Sendable, CaseIterable {
    /// Offered; the store shall ask for it.
    case request
    /// Granted; the store shall say that it has all of it.
    case download
    /// Downloaded; the store shall say that it is applied.
    case apply
    /// A cancel was asked for; the store shall answer.
    case cancel
    /// The store has something to report that this hub has not taken in.
    case report
}

extension Delivery {
    /// The stage that the delivery is in; nil when nothing is expected of the store.
    public var stage: DeliveryStage? {
        if awaitsCancelAnswer { return .cancel }
        switch status {
        case .available, .downloadFailed, .applyFailed: return isOnOffer ? .request : nil
        case .requested: return .download
        case .downloaded: return .apply
        case .applied, .noData, .canceled, .superseded, .suspended: return nil
        }
    }
}

/// How long a stage took, and what it had to do.
public struct StageSample: Hashable, Sendable {
    public var stage: DeliveryStage
    public var milliseconds: Int64
    public var bytes: Int64
    public var rows: Int64

    public init(stage: DeliveryStage, milliseconds: Int64, bytes: Int64, rows: Int64) {
        self.stage = stage
        self.milliseconds = milliseconds
        self.bytes = bytes
        self.rows = rows
    }
}
