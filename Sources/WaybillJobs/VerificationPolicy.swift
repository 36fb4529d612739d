/// Whether and how often it is verified that each store has what a job defines for it.
public struct VerificationPolicy: Sendable, Equatable {
    /// nil: only when somebody asks for it.
    public var everySeconds: Int?
    /// What differs is repaired without anybody asking.
    public var repairs: Bool

    public init(everySeconds: Int? = 86_400, repairs: Bool = false) {
        self.everySeconds = everySeconds
        self.repairs = repairs
    }

    /// Seconds: the least time between two verifications of a store, and the most.
    static let everyRange = 60...31 * 86_400

    /// Reads `verify:` of a job file.
    init(reading section: Section) {
        self.init()
        guard let (node, _) = section.node("verify"),
            let entry = Section(node, "'verify'", known: ["every", "repair"], section.sink)
        else { return }
        if let text = entry.string("every") {
            if text == "never" {
                everySeconds = nil
            } else if let seconds = VerificationPolicy.seconds(text), VerificationPolicy.everyRange.contains(seconds) {
                everySeconds = seconds
            } else {
                entry.fault("every", "'\(text)' is no interval", hint: "from 1m to 31d, such as 24h; or never")
            }
        }
        if let flag = entry.flag("repair") { repairs = flag }
    }

    private static func seconds(_ text: String) -> Int? {
        let units: [Character: Int] = ["m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number > 0,
            number < 100_000
        else { return nil }
        return number * unit
    }
}
