import Foundation

/// A hub that is reached by TCP, with a token.
struct RemoteHub {
    /// Without a slash at its end.
    let base: String
    let token: String

    static func isAddress(_ text: String) -> Bool { text.hasPrefix("http://") || text.hasPrefix("https://") }

    /// - Throws: ``Complaint`` for an address that is none, or to which the token would travel in clear.
    init(_ address: String, token: String) throws {
        guard let url = URLComponents(string: address), let host = url.host, !host.isEmpty, url.query == nil,
            url.user == nil, ["", "/"].contains(url.path)
        else { throw Complaint("'\(address)' is no address of a hub, such as https://hub.example.com", status: 64) }
        let isOwnMachine = host == "localhost" || host.hasPrefix("127.") || host == "[::1]" || host == "::1"
        guard url.scheme == "https" || isOwnMachine else {
            throw Complaint(
                "with http:// everybody between here and \(host) can read the token: use https://, or a tunnel "
                    + "to this machine")
        }
        base = address.hasSuffix("/") ? String(address.dropLast()) : address
        self.token = token
    }

    /// The token in a file, in which it stands alone, or in the environment.
    static func token(file: String?) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let file = file ?? environment["WAYBILL_TOKEN_FILE"], !file.isEmpty {
            guard let data = FileManager.default.contents(atPath: file), data.count <= 1024 else {
                throw Complaint("the token in \(file) cannot be read")
            }
            return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        guard let token = environment["WAYBILL_TOKEN"], !token.isEmpty else {
            throw Complaint(
                "a hub that is reached by TCP wants a token: --token-file FILE, $WAYBILL_TOKEN_FILE or $WAYBILL_TOKEN",
                status: 64)
        }
        return token
    }
}
