import GRDB
import WaybillModel

/// A column of the table `delivery`, and what a delivery has to say in it.
struct DeliveryColumn: Sendable {
    let name: String
    let value: @Sendable (Delivery) -> DatabaseValue
    /// Whether two deliveries say the same in it, without making the values.
    let isSame: @Sendable (Delivery, Delivery) -> Bool

    private init<Fact: Equatable & SendableMetatype>(
        _ name: String, _ fact: @escaping @Sendable (Delivery) -> Fact,
        as value: @escaping @Sendable (Fact) -> DatabaseValue?
    ) {
        self.name = name
        self.value = { value(fact($0)) ?? .null }
        isSame = { fact($0) == fact($1) }
    }

    private init<Fact: Equatable & DatabaseValueConvertible & SendableMetatype>(
        _ name: String, _ fact: @escaping @Sendable (Delivery) -> Fact
    ) {
        self.init(name, fact, as: { $0.databaseValue })
    }

    private init(_ name: String, _ time: @escaping @Sendable (Delivery) -> Timestamp?) {
        self.init(name, time, as: { $0?.milliseconds.databaseValue })
    }

    /// The primary key.
    static let key = [
        DeliveryColumn("session") { $0.session.number },
        DeliveryColumn("store_id", { $0.store }, as: { $0.rawValue.databaseValue }),
    ]

    /// All others.
    static let facts = [
        DeliveryColumn("session_id", { $0.session }, as: { $0.rawValue.databaseValue }),
        DeliveryColumn("job", { $0.job }, as: { $0.rawValue.databaseValue }),
        DeliveryColumn("epoch") { $0.version.epoch },
        DeliveryColumn("version") { $0.version.number },
        DeliveryColumn("package", { $0.package?.id }, as: { $0?.hex.databaseValue }),
        DeliveryColumn("status", { $0.status }, as: { $0.rawValue.databaseValue }),
        DeliveryColumn("is_open") { $0.isOpen },
        DeliveryColumn("is_no_data") { $0.isNoData },
        DeliveryColumn("run") { $0.run },
        DeliveryColumn("is_granted") { $0.isGranted },
        DeliveryColumn("cancel_asked_at") { $0.cancelAskedAt },
        DeliveryColumn("cancel_reason") { $0.cancelReason },
        DeliveryColumn("is_revoked_by_hub") { $0.isRevokedByHub },
        DeliveryColumn("superseded_by", { $0.supersededBy }, as: { $0?.rawValue.databaseValue }),
        DeliveryColumn("note") { $0.note },
        DeliveryColumn("told_outcome", { $0.told.standing?.outcome }, as: { $0?.rawValue.databaseValue }),
        DeliveryColumn("told_attempt") { $0.told.standing?.attempt ?? 0 },
        DeliveryColumn("told_message") { $0.told.message },
        DeliveryColumn("told_transient") { $0.told.isTransient },
        DeliveryColumn(
            "told_failures", { $0.told.lastingFailures },
            as: { $0.map(String.init).joined(separator: " ").databaseValue }),
        DeliveryColumn("attempts") { $0.told.attempts },
        DeliveryColumn("requested_at") { $0.told.requestedAt },
        DeliveryColumn("downloaded_at") { $0.told.downloadedAt },
        DeliveryColumn("applied_at") { $0.told.appliedAt },
        DeliveryColumn("canceled_at") { $0.told.canceledAt },
        DeliveryColumn("rows_changed") { $0.told.rowsChanged },
        DeliveryColumn("longest_lock_ms") { $0.told.longestLockMilliseconds },
        DeliveryColumn("message") { $0.message },
        DeliveryColumn("try_count") { $0.tryCount },
        DeliveryColumn("forgiven_attempts") { $0.forgivenAttempts },
        DeliveryColumn("ignores_window") { $0.ignoresWindow },
        DeliveryColumn("exceptions") { $0.told.exceptions },
    ]
}

/// Columns that change together in the ordinary course of a delivery.
struct DeliveryStep: Sendable {
    /// Places in ``DeliveryColumn/facts``.
    let places: [Int]
    /// A bit for each of them.
    let mask: UInt64

    private init(_ names: String...) {
        let facts = DeliveryColumn.facts
        places = facts.indices.filter { names.contains(facts[$0].name) }
        mask = places.reduce(0) { $0 | 1 << UInt64($1) }
    }

    /// What a delivery says by the way, narrow ones first: most of what a hub ever writes.
    static let ordinary = [
        DeliveryStep("status", "told_outcome", "told_message", "message", "downloaded_at"),
        DeliveryStep(
            "status", "is_open", "told_outcome", "told_message", "message", "applied_at", "rows_changed",
            "longest_lock_ms"),
        DeliveryStep(
            "status", "is_open", "told_outcome", "told_message", "message", "downloaded_at", "applied_at",
            "rows_changed", "longest_lock_ms"),
        DeliveryStep(
            "status", "is_granted", "note", "told_outcome", "told_attempt", "told_message", "message", "attempts",
            "requested_at"),
    ]

    /// The narrowest step that writes all that differs, and nil where only the whole row will do.
    static func between(_ before: Delivery, _ after: Delivery) -> Int? {
        var mask: UInt64 = 0
        for (place, column) in DeliveryColumn.facts.enumerated() where !column.isSame(before, after) {
            mask |= 1 << UInt64(place)
        }
        return ordinary.firstIndex { mask & ~$0.mask == 0 }
    }
}
