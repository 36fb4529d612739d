import WaybillAdmin

extension SessionViews {
    public static func retried(_ reply: RetryReply, _ screen: Screen) -> [String] {
        guard !reply.stores.isEmpty else { return ["session \(reply.session) is not suspended at any store"] }
        var table = TextTable("STORE", "ANSWER", "MESSAGE")
        for store in reply.stores {
            table.add(
                .init(store.store.rawValue),
                store.accepted ? .init("tries again", .good) : .init("not tried again", .warning),
                .init(store.message))
        }
        return table.lines(screen)
    }
}
