/// Addresses and endpoints as people write them.
enum NetworkAddress {
    /// Without the IPv6 form of IPv4 addresses: a socket that speaks both names 127.0.0.1 as `::ffff:127.0.0.1`, and an
    /// endpoint there as `tcp://[::ffff:127.0.0.1]:7700`. All other text stays as it is.
    static func plain(_ text: String) -> String {
        let mapped = "::ffff:"
        // Asked for each message that arrives; nearly all addresses end here.
        guard text.utf8.contains(UInt8(ascii: "[")) || text.hasPrefix(mapped) else { return text }
        if let bracket = text.firstIndex(of: "["), let end = text.lastIndex(of: "]"), bracket < end {
            let inside = text[text.index(after: bracket)..<end]
            guard inside.hasPrefix(mapped), inside.utf8.contains(UInt8(ascii: ".")) else { return text }
            return String(text[..<bracket] + inside.dropFirst(mapped.count) + text[text.index(after: end)...])
        }
        return text.utf8.contains(UInt8(ascii: ".")) ? String(text.dropFirst(mapped.count)) : text
    }

    /// The two parts of `tcp://HOST:PORT`.
    static func hostAndPort(_ endpoint: String) -> (host: String, port: String)? {
        let scheme = "tcp://"
        guard endpoint.hasPrefix(scheme), let colon = endpoint.lastIndex(of: ":") else { return nil }
        let hostStart = endpoint.index(endpoint.startIndex, offsetBy: scheme.count)
        guard hostStart < colon else { return nil }
        return (String(endpoint[hostStart..<colon]), String(endpoint[endpoint.index(after: colon)...]))
    }
}
