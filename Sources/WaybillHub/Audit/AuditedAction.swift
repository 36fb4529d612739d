import Foundation
import Hummingbird

/// What a request does, in the words of the audit log.
struct AuditedAction: Equatable {
    /// As on the command line: `session cancel`.
    var name: String
    /// The session, store or job that the path names.
    var subject = ""
    /// The effect is one transaction of `hub.db`, which writes the row itself.
    var isOneTransaction = false

    /// nil for a request that changes nothing. A route that is not known here is taken for one that does.
    init?(_ method: HTTPRequest.Method, path: String) {
        guard method != .get, method != .head else { return nil }
        var parts = path.split(separator: "/").map { $0.removingPercentEncoding ?? String($0) }
        if parts.first == "v1" { parts.removeFirst() }
        switch (parts.first, parts.count) {
        case ("plan", 1): return nil
        // Job files that are only looked at.
        case ("jobs", 2) where parts[1] == "check": return nil
        // Uploads: HQ changes when the import is run.
        case ("imports", 3) where parts[2] == "run": self.init(name: "import", subject: parts[1])
        case ("imports", _): return nil
        case ("retention", 2): self.init(name: "purge")
        case ("keys", 2) where parts[1] == "announce": self.init(name: "key rotate")
        case ("keys", 2) where parts[1] == "stores": self.init(name: "store rotate-key", isOneTransaction: true)
        case ("keys", 2): self.init(name: "key \(parts[1])")
        case ("stores", 1): self.init(name: "store add", isOneTransaction: true)
        case ("jobs", 3) where parts[2] == "runs": self.init(name: "job run", subject: parts[1])
        case ("sessions", 3), ("stores", 3), ("jobs", 3):
            let name = "\(parts[0].dropLast()) \(parts[2])"
            self.init(
                name: name, subject: parts[1], isOneTransaction: AuditedAction.inOneTransaction.contains(name))
        case ("staging", 3): self.init(name: "staging \(parts[2])", subject: parts[1])
        default: self.init(name: parts.joined(separator: " "))
        }
    }

    private init(name: String, subject: String = "", isOneTransaction: Bool = false) {
        self.name = name
        self.subject = subject
        self.isOneTransaction = isOneTransaction
    }

    private static let inOneTransaction: Set = [
        "session cancel", "session rerun", "session retry", "session approve", "store retire",
    ]
}
