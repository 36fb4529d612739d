import Foundation
import WaybillDatabase

extension AgentReport {
    /// Which keys this store has, by their public halves.
    public struct Keys: Codable, Sendable {
        /// The store's CURVE key, in Z85.
        public var own: String
        /// The key that is to take its place; null when there is none.
        public var next: String?
        /// Somebody has asked for a new key, and no agent has made it yet.
        public var renewal_asked: Bool
        public var hub: String
        /// The key that the hub has announced; null when it has announced none.
        public var next_hub: String?

        init(home: AgentHome, _ enrolment: StoredEnrolment) throws {
            own = try home.loadKeys().publicKey.z85
            next = try home.loadKeys(home.nextKey)?.publicKey.z85
            renewal_asked = FileManager.default.fileExists(atPath: home.keyRequest)
            hub = enrolment.hub_curve_key
            next_hub = enrolment.next_hub_curve_key
        }

        /// Every key is always there: null when there is nothing to say.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(own, forKey: .own)
            try container.encode(next, forKey: .next)
            try container.encode(renewal_asked, forKey: .renewal_asked)
            try container.encode(hub, forKey: .hub)
            try container.encode(next_hub, forKey: .next_hub)
        }

        private enum CodingKeys: String, CodingKey { case own, next, renewal_asked, hub, next_hub }

        /// Lines for a terminal; none when nothing is being replaced.
        var lines: [String] {
            var lines: [String] = []
            if renewal_asked { lines.append("A new key was asked for; the agent makes it when it runs.") }
            if next != nil { lines.append("A new key is made, and waits to be used for the first time.") }
            if next_hub != nil { lines.append("The hub has announced new keys of its own; they are known here.") }
            return lines
        }
    }
}
