import Foundation
import WaybillDatabase
import WaybillModel
import Yams

/// `hub.yaml`. Every setting has a default, so an empty file is a valid one.
public struct HubConfiguration: Sendable, Equatable {
    /// Where agents connect; announcements and enrolment listen one and two ports above unless they are named.
    public var listen: String
    public var announce: String
    public var enrol: String
    /// The host name that enrolment codes carry; empty: the host of `listen`.
    public var advertise: String
    /// How often an agent speaks when nothing happens.
    public var helloSeconds: Int
    /// Silence after which a store is shown as offline.
    public var offlineAfterSeconds: Int
    public var enrolmentCodeHours: Int
    /// No delivery is shown as stalled sooner.
    public var stalledAfterSeconds = 60
    /// How long a store's old key stays good after its new one was used.
    public var oldKeyHours: Int
    /// What is kept, and for how long.
    public var retention: RetentionPolicy
    /// Whether jobs follow their triggers; false: they run only when somebody asks for it.
    public var automaticRuns: Bool
    /// Where administrators connect by TCP, ADDRESS:PORT; empty for nowhere.
    public var adminListen: String
    /// Whether that may be an address which other machines can reach.
    public var adminAllowsAnyAddress: Bool
    /// Days that rows of the audit log are kept; 0 for ever.
    public var auditDays: Int
    /// Whether stores are verified by themselves, as often as their jobs say.
    public var automaticVerification: Bool
    /// trace, debug, info, notice, warning, error.
    public var logLevel: String

    public static let listenDefault = "tcp://127.0.0.1:7700"

    public init(listen: String = listenDefault) {
        self.listen = listen
        announce = HubConfiguration.shifted(listen, by: 1)
        enrol = HubConfiguration.shifted(listen, by: 2)
        advertise = ""
        helloSeconds = 30
        offlineAfterSeconds = 90
        enrolmentCodeHours = 72
        oldKeyHours = 24
        retention = RetentionPolicy()
        automaticRuns = true
        adminListen = ""
        adminAllowsAnyAddress = false
        auditDays = 0
        automaticVerification = true
        logLevel = "info"
    }

    private struct File: Decodable {
        var listen: String?
        var announce: String?
        var enrol: String?
        var advertise: String?
        var hello_seconds: Int?
        var offline_after_seconds: Int?
        var enrolment_code_hours: Int?
        var stalled_after_seconds: Int?
        var old_key_hours: Int?
        var keep_sessions_days: Int?
        var keep_packages_days: Int?
        var keep_changes_days: Int?
        var keep_changes_rows: Int64?
        var keep_staging_days: Int?
        var automatic_runs: Bool?
        var admin_listen: String?
        var admin_allow_any_address: Bool?
        var keep_audit_days: Int?
        var automatic_verification: Bool?
        var log_level: String?
    }

    static let settings = [
        "listen", "announce", "enrol", "advertise", "hello_seconds", "offline_after_seconds", "enrolment_code_hours",
        "old_key_hours", "keep_sessions_days", "keep_packages_days", "keep_changes_days", "keep_changes_rows",
        "keep_staging_days", "automatic_runs", "automatic_verification", "admin_listen", "admin_allow_any_address",
        "keep_audit_days", "log_level", "stalled_after_seconds",
    ]

    /// - Throws: ``HomeFault`` naming the file and the setting.
    public init(reading path: String) throws {
        let text = String(decoding: try DurableFile.read(path), as: UTF8.self)
        let file: File
        do {
            let known = Set(HubConfiguration.settings)
            let names = (try Yams.load(yaml: text) as? [String: Any])?.keys.sorted() ?? []
            if let unknown = names.first(where: { !known.contains($0) }) {
                throw HomeFault(
                    "there is no setting '\(unknown)'; there are: \(HubConfiguration.settings.joined(separator: ", "))")
            }
            file = names.isEmpty ? File() : try YAMLDecoder().decode(File.self, from: text)
        } catch let fault as HomeFault {
            throw HomeFault("\(path): \(fault)")
        } catch {
            throw HomeFault("\(path) cannot be read as YAML: \(error)")
        }
        self.init(listen: file.listen ?? HubConfiguration.listenDefault)
        announce = file.announce ?? announce
        enrol = file.enrol ?? enrol
        advertise = file.advertise ?? advertise
        helloSeconds = file.hello_seconds ?? helloSeconds
        offlineAfterSeconds = file.offline_after_seconds ?? offlineAfterSeconds
        enrolmentCodeHours = file.enrolment_code_hours ?? enrolmentCodeHours
        stalledAfterSeconds = file.stalled_after_seconds ?? stalledAfterSeconds
        oldKeyHours = file.old_key_hours ?? oldKeyHours
        retention.sessionsDays = file.keep_sessions_days ?? retention.sessionsDays
        retention.packagesDays = file.keep_packages_days ?? retention.packagesDays
        retention.changesDays = file.keep_changes_days ?? retention.changesDays
        retention.changesRowsMax = file.keep_changes_rows ?? retention.changesRowsMax
        retention.stagingDays = file.keep_staging_days ?? retention.stagingDays
        automaticRuns = file.automatic_runs ?? automaticRuns
        adminListen = file.admin_listen ?? adminListen
        adminAllowsAnyAddress = file.admin_allow_any_address ?? adminAllowsAnyAddress
        auditDays = file.keep_audit_days ?? auditDays
        automaticVerification = file.automatic_verification ?? automaticVerification
        logLevel = file.log_level ?? logLevel
        do { try check() } catch { throw HomeFault("\(path): \(error)") }
    }

    /// - Throws: ``HomeFault`` for a value that cannot work.
    public func check() throws {
        for endpoint in [listen, announce, enrol] {
            guard HubConfiguration.port(endpoint) != nil else {
                throw HomeFault("'\(endpoint)' is not an endpoint like tcp://127.0.0.1:7700")
            }
        }
        guard Set([listen, announce, enrol]).count == 3 else {
            throw HomeFault("listen, announce and enrol must be three different endpoints")
        }
        guard (1...3600).contains(helloSeconds) else { throw HomeFault("hello_seconds must be from 1 to 3600") }
        guard (helloSeconds...86_400).contains(offlineAfterSeconds) else {
            throw HomeFault("offline_after_seconds must be from hello_seconds to 86400")
        }
        guard (1...8760).contains(enrolmentCodeHours) else {
            throw HomeFault("enrolment_code_hours must be from 1 to 8760")
        }
        guard (1...86_400).contains(stalledAfterSeconds) else {
            throw HomeFault("stalled_after_seconds must be from 1 to 86400")
        }
        guard (0...8760).contains(oldKeyHours) else { throw HomeFault("old_key_hours must be from 0 to 8760") }
        for (name, days) in [
            ("sessions", retention.sessionsDays), ("packages", retention.packagesDays),
            ("changes", retention.changesDays), ("staging", retention.stagingDays),
        ] where !(1...RetentionPolicy.daysMax).contains(days) {
            throw HomeFault("keep_\(name)_days must be from 1 to \(RetentionPolicy.daysMax)")
        }
        guard retention.changesRowsMax >= RetentionPolicy.changesRowsFloor else {
            throw HomeFault("keep_changes_rows must be at least \(RetentionPolicy.changesRowsFloor)")
        }
        try checkAdmin()
        guard ["trace", "debug", "info", "notice", "warning", "error"].contains(logLevel) else {
            throw HomeFault("log_level must be trace, debug, info, notice, warning or error")
        }
    }

    static func port(_ endpoint: String) -> Int? {
        guard endpoint.hasPrefix("tcp://"), let colon = endpoint.lastIndex(of: ":"),
            let port = Int(endpoint[endpoint.index(after: colon)...]), (1...65_535).contains(port),
            endpoint[endpoint.index(endpoint.startIndex, offsetBy: 6)...] != endpoint[colon...]
        else { return nil }
        return port
    }

    static func shifted(_ endpoint: String, by offset: Int) -> String {
        guard let port = port(endpoint), let colon = endpoint.lastIndex(of: ":") else { return endpoint }
        return "\(endpoint[..<colon]):\(port + offset)"
    }

    /// The endpoint as a store must write it: with the advertised host.
    func advertised(_ endpoint: String) -> String {
        guard !advertise.isEmpty, let colon = endpoint.lastIndex(of: ":") else { return endpoint }
        return "tcp://\(advertise)\(endpoint[colon...])"
    }

    /// Whether what enrolment codes name is a place that a store can connect to, not "every address of this machine".
    var isAdvertisedReachable: Bool {
        let host = advertised(enrol).dropFirst("tcp://".count).prefix { $0 != "/" }
        return !["0.0.0.0:", "*:", "[::]:"].contains { host.hasPrefix($0) }
    }

    /// The file that `init` writes.
    static func template(listen: String) -> String {
        """
        # Waybill hub. Every setting is optional; what is commented out shows the default.
        # A change takes effect when the hub is started again.

        # Where agents connect. Announcements and enrolment use the next two ports unless named below.
        listen: \(listen)
        # announce: \(shifted(listen, by: 1))
        # enrol: \(shifted(listen, by: 2))

        # The host name or address under which stores reach this machine; enrolment codes carry it.
        # advertise: hub.example.com

        # Seconds between two signs of life of an agent, and the silence after which it counts as offline.
        # hello_seconds: 30
        # offline_after_seconds: 90

        # No delivery is shown as stalled before so many seconds, however quick stores used to be.
        # stalled_after_seconds: 60

        # How long a one-time enrolment code is good for.
        # enrolment_code_hours: 72

        # How long a store's old key stays good after its new one has been used for the first time.
        # old_key_hours: 24

        # Days that finished sessions, and packages that nobody needs any more, are kept.
        # keep_sessions_days: 90
        # keep_packages_days: 7

        # How long, and how many rows of, changes are kept for a store that is away; later it gets everything.
        # keep_changes_days: 30
        # keep_changes_rows: 20000000

        # Days that finished rows of imports are kept in staging.
        # keep_staging_days: 30
        # Days that the audit log is kept, at least 30; 0 for ever.
        # keep_audit_days: 0

        # TCP for administrators, with a token (waybill-hub token) and TLS left to a proxy. Without this: none.
        # admin_listen: 127.0.0.1:7710

        # Whether jobs start by themselves: by schedule, when HQ's tables change, when a store enrols.
        # automatic_runs: true

        # Whether stores are verified by themselves, as often as their jobs say (verify: every: 24h).
        # automatic_verification: true

        # trace, debug, info, notice, warning or error
        # log_level: info

        """
    }
}
