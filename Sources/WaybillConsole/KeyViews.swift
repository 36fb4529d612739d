import WaybillAdmin
import WaybillModel

/// Keys as lines.
public enum KeyViews {
    public static func status(_ status: KeyStatus, now: Timestamp, _ screen: Screen) -> [String] {
        let hub = status.hub
        var lines = ["hub   \(hub.curveKey)" + (hub.switchedAt.map { ", since \(Humane.moment($0))" } ?? "")]
        if !hub.silentStores.isEmpty {
            lines.append("      not heard since: \(names(hub.silentStores))")
        }
        if let next = status.next {
            let since = next.announcedAt.map { ", announced \(Humane.age($0, now: now))" } ?? ""
            lines.append("next  \(next.curveKey)\(since)")
            lines.append(
                next.unawareStores.isEmpty
                    ? "      every store knows it; take it with: waybill key switch"
                    : "      not known yet to \(Humane.count(next.unawareStores.count, "store")): "
                        + names(next.unawareStores))
        } else {
            lines.append("next  none; announce new keys with: waybill key rotate")
        }
        guard !status.stores.isEmpty else { return lines.map { screen.line($0) } }
        var table = TextTable("STORE", "KEY SINCE", "STATE")
        for store in status.stores {
            table.add(.init(store.store.rawValue), .init(Humane.age(store.since, now: now)), state(store))
        }
        return lines.map { screen.line($0) } + [""] + table.lines(screen)
    }

    private static func state(_ store: KeyStatus.Store) -> TextTable.Cell {
        if store.nextSince != nil { return .init("goes over to a new key", .warning) }
        if store.renewalAskedAt != nil { return .init("asked to make a new key", .warning) }
        if let until = store.oldKeyUntil { return .init("old key good until \(Humane.moment(until))", .warning) }
        return .init("-")
    }

    public static func switched(_ reply: KeySwitchReply, _ screen: Screen) -> [String] {
        var lines = ["the hub has its next keys"]
        if !reply.unawareStores.isEmpty { lines.append("must enrol anew: \(names(reply.unawareStores))") }
        if !reply.voidCodes.isEmpty { lines.append("codes that are void now: \(names(reply.voidCodes))") }
        return lines.map { screen.line($0) }
    }

    public static func renewed(_ reply: StoreKeyReply, _ screen: Screen) -> [String] {
        guard !reply.stores.isEmpty else { return ["no store has enrolled"] }
        var table = TextTable("STORE", "ANSWER", "MESSAGE")
        for store in reply.stores {
            table.add(
                .init(store.store.rawValue), store.accepted ? .init("asked", .good) : .init("not asked", .warning),
                .init(store.message))
        }
        return table.lines(screen)
    }

    /// A line of the hub's state at a glance; none when nothing is being replaced.
    static func glance(_ keys: HubStatus.Keys) -> [String] {
        var parts: [String] = []
        if keys.nextAnnounced {
            parts.append(
                "next keys announced, not known yet to \(Humane.count(keys.unawareStores, "store"))")
        }
        if keys.renewalsAsked > 0 {
            parts.append("\(Humane.count(keys.renewalsAsked, "store")) to make a new key")
        }
        if keys.oldKeysValid > 0 { parts.append("\(Humane.count(keys.oldKeysValid, "old key")) still good") }
        return parts.isEmpty ? [] : ["keys      " + parts.joined(separator: ", ") + "; see: waybill key status"]
    }

    private static func names(_ stores: [StoreID]) -> String {
        stores.map { TerminalText.plain($0.rawValue) }.joined(separator: ", ")
    }
}
