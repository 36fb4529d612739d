/// One question of libzmq to its ZAP handler, and the answer to it (https://rfc.zeromq.org/spec/27/).
struct ZAPRequest {
    enum Verdict: Equatable {
        case admitted(userID: String)
        case refused(Refusal)
    }

    private let frames: [[UInt8]]

    init(_ frames: [[UInt8]]) {
        self.frames = frames
    }

    /// version, request id, domain, address, identity, mechanism, credentials…
    private func frame(_ index: Int) -> [UInt8] { index < frames.count ? frames[index] : [] }
    private func text(_ index: Int) -> String { String(decoding: frame(index), as: UTF8.self) }

    /// Everything that is not exactly right is refused.
    func verdict(by policies: [String: DomainPolicy]) -> Verdict {
        var refusal = Refusal(reason: .unknownDomain, domain: text(2), address: NetworkAddress.plain(text(3)), key: nil)
        guard let policy = policies[refusal.domain] else { return .refused(refusal) }
        guard text(0) == "1.0", text(5) == "CURVE", frames.count == 7 else {
            refusal.reason = .notCurve
            return .refused(refusal)
        }
        guard let key = try? CurvePublicKey(bytes: frame(6)) else {
            refusal.reason = .badKey
            return .refused(refusal)
        }
        switch policy {
        case .anyKey:
            return .admitted(userID: key.z85)
        case .allowList(let keys):
            if let userID = keys[key], !userID.isEmpty { return .admitted(userID: userID) }
            refusal.reason = .unknownKey
            refusal.key = key.z85
            return .refused(refusal)
        }
    }

    /// version, request id, status, status text, user id, metadata.
    func reply(_ verdict: Verdict) -> [[UInt8]] {
        let (status, text, userID) =
            switch verdict {
            case .admitted(let userID): ("200", "OK", userID)
            case .refused: ("400", "refused", "")
            }
        return [Array("1.0".utf8), frame(1), Array(status.utf8), Array(text.utf8), Array(userID.utf8), []]
    }
}
