import Crypto
import Foundation
import NIOCore
import Synchronization
import WaybillDatabase
import WaybillModel
import WaybillSessions

/// Who may administer by TCP: whoever shows a token of the hub's list.
struct TokenGate: Sendable {
    enum Verdict: Sendable {
        case admitted(String)
        case refused(Refusal)
    }

    struct Refusal: Sendable {
        var address: String
        var reason: String
        /// Not one of too many: worth a line.
        var isNews: Bool
        var isTooMany: Bool
    }

    private let path: String
    private let now: @Sendable () -> Timestamp
    private let failures: FailureCount

    init(path: String, now: @escaping @Sendable () -> Timestamp) {
        self.path = path
        self.now = now
        failures = FailureCount()
    }

    /// Looks at the list anew each time: a token that was taken away is no good from the next request on.
    func judge(_ authorization: String?, from peer: SocketAddress?) async -> Verdict {
        let address = peer?.ipAddress ?? "unknown address"
        let token = authorization.flatMap { $0.hasPrefix("Bearer ") ? String($0.dropFirst("Bearer ".count)) : nil }
        do {
            let tokens = try AdminTokens(reading: path)
            // A right token is let in however many wrong ones came: guessing is hopeless, and nobody shall be able to
            // shut administrators out by trying.
            if let token, let name = tokens.holder(of: token) { return .admitted(name) }
        } catch {
            return .refused(Refusal(address: address, reason: "\(error)", isNews: true, isTooMany: false))
        }
        let count = failures.count.withLock { $0.add(at: now()) }
        let isTooMany = count > FailureCount.perMinute
        let reason =
            token == nil ? "a token is needed: Authorization: Bearer TOKEN" : "the token is not known to this hub"
        return .refused(
            Refusal(
                address: address, reason: isTooMany ? "too many requests without a good token" : reason,
                isNews: !isTooMany, isTooMany: isTooMany))
    }
}

/// Requests without a good token in the running minute.
private final class FailureCount: Sendable {
    static let perMinute = 10

    struct Minute {
        private var begun: Timestamp?
        private var failures = 0

        mutating func add(at now: Timestamp) -> Int {
            if begun.map({ now - $0 >= 60_000 || now < $0 }) ?? true {
                begun = now
                failures = 0
            }
            failures += 1
            return failures
        }
    }

    let count = Mutex(Minute())
}

/// `HOME/admin-tokens`: a line for each token with its name and its SHA-256. The token itself is nowhere on disk.
public struct AdminTokens: Sendable {
    /// Bytes of a token: not to be guessed.
    private static let tokenBytes = 32
    private static let prefix = "waybill-admin-"
    private static let tokensMax = 100
    private static let charactersMax = 200

    /// In the order of the file.
    public private(set) var names: [String] = []
    private var hashes: [[UInt8]] = []

    /// - Throws: ``HomeFault`` for a file that others may read or write, or that makes no sense.
    public init(reading path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let text = String(decoding: try SecretFile.read(path), as: UTF8.self)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        where !line.isEmpty && !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            guard parts.count == 2, AdminTokens.isName(String(parts[0])), parts[1].utf8.count == 64,
                let hash = PackageID(hex: String(parts[1])), names.count < AdminTokens.tokensMax
            else { throw HomeFault("\(path), line \(index + 1) is not a name and the SHA-256 of a token") }
            names.append(String(parts[0]))
            hashes.append(hash.bytes)
        }
    }

    /// Letters, digits, dashes, dots and underscores.
    public static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || [45, 46, 95].contains($0)
            }
    }

    /// The name of a token, or nil. Takes as long for a wrong one as for a right one, wherever in the list it stands.
    func holder(of token: String) -> String? {
        guard token.utf8.count <= AdminTokens.charactersMax else { return nil }
        let shown = Array(SHA256.hash(data: Data(token.utf8)))
        var found: String?
        for (name, hash) in zip(names, hashes) {
            var difference: UInt8 = 0
            for (a, b) in zip(shown, hash) { difference |= a ^ b }
            found = difference == 0 ? name : found
        }
        return found
    }

    /// Makes a token under a new name and writes the list.
    /// - Returns: the token, which cannot be had again.
    public mutating func add(_ name: String, to path: String) throws -> String {
        guard AdminTokens.isName(name) else {
            throw HomeFault("'\(name)' is no name for a token: letters, digits, dashes, dots and underscores")
        }
        guard !names.contains(name) else { throw HomeFault("there is a token '\(name)' already; take it away first") }
        guard names.count < AdminTokens.tokensMax else { throw HomeFault("there are \(names.count) tokens already") }
        let token =
            AdminTokens.prefix + (0..<AdminTokens.tokenBytes).map { _ in UInt8.random(in: .min ... .max) }.hexText
        names.append(name)
        hashes.append(Array(SHA256.hash(data: Data(token.utf8))))
        try write(to: path)
        return token
    }

    /// Takes a token away.
    public mutating func remove(_ name: String, from path: String) throws {
        guard let index = names.firstIndex(of: name) else {
            throw HomeFault("there is no token '\(name)'; there are: \(names.joined(separator: ", "))")
        }
        names.remove(at: index)
        hashes.remove(at: index)
        try write(to: path)
    }

    private func write(to path: String) throws {
        let lines = zip(names, hashes).map { "\($0) \($1.hexText)\n" }.joined()
        try DurableFile.write(
            Array(("# Names and SHA-256 of tokens; made by: waybill-hub token\n" + lines).utf8), to: path, mode: 0o600)
    }
}

extension AdminTokens {
    /// Makes a token, and writes down who did.
    public static func make(_ name: String, in home: HubHome) throws -> String {
        var tokens = try AdminTokens(reading: home.adminTokens)
        let token = try tokens.add(name, to: home.adminTokens)
        try note("token add", name, in: home)
        return token
    }

    public static func revoke(_ name: String, in home: HubHome) throws {
        var tokens = try AdminTokens(reading: home.adminTokens)
        try tokens.remove(name, from: home.adminTokens)
        try note("token revoke", name, in: home)
    }

    private static func note(_ action: String, _ name: String, in home: HubHome) throws {
        let operations = try Operations(path: home.hubDatabase)
        let entry = AuditEntry(
            at: Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)),
            who: AuditWho(name: userName(getuid()), uid: Int64(getuid()), door: .hub), action: action, subject: name,
            outcome: .done)
        try operations.write { db in _ = try AuditLog.append(entry, in: db) }
        try operations.pool.close()
    }
}
