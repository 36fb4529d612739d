import Testing

@testable import WaybillSocket

/// The shape of both programs: a loop on its own thread that owns its sockets, and is told from outside when to end.
@Suite struct LoopTests {
    @Test func aHubLoopAndAnAgentLoopTalkUntilTheyAreStopped() throws {
        let agentKeys = try CurveKeyPair.generate()
        let loopback = try Loopback(.allowList([agentKeys.publicKey: "store-17"]))
        let (context, stopped) = (loopback.context, Shared(false))
        let hubSettings = loopback.settings(.server(loopback.hubKeys, domain: Loopback.domain))
        let agentSettings = loopback.settings(.client(agentKeys, serverKey: loopback.hubKeys.publicKey))
        let (hubWakeUp, agentWakeUp) = (try WakeUp(), try WakeUp())
        let (endpoint, questions, answers) = (Shared(""), Shared<[String]>([]), Shared<[[UInt8]]>([]))
        let failures = Shared<[String]>([])

        let hubThread = try LoopThread("hub") {
            do {
                let loop = try HubLoop(hubSettings, context: context)
                endpoint.update { [name = loop.endpoint] in $0 = name }
                try loop.run(wakeUp: hubWakeUp, until: { stopped.value }) { user in questions.update { $0.append(user) }
                }
            } catch {
                failures.update { [text = "\(error)"] in $0.append(text) }
            }
        }
        let hubEndpoint = try eventually { endpoint.value.isEmpty ? nil : endpoint.value }
        let agentThread = try LoopThread("agent") {
            do {
                let loop = try AgentLoop(agentSettings, endpoint: hubEndpoint, context: context)
                try loop.run(wakeUp: agentWakeUp, until: { stopped.value }) { answer in
                    answers.update { $0.append(answer) }
                }
            } catch {
                failures.update { [text = "\(error)"] in $0.append(text) }
            }
        }

        _ = try eventually { answers.value.count >= 100 ? true : nil }
        stopped.update { $0 = true }
        hubWakeUp.signal()
        agentWakeUp.signal()
        hubThread.join()
        agentThread.join()
        #expect(failures.value == [])
        #expect(questions.value.allSatisfy { $0 == "store-17" })
        let numbers = answers.value.map { Int($0[0]) | Int($0[1]) << 8 }
        #expect(numbers == Array(0..<numbers.count))
    }
}

/// Answers every message with its own first frame.
private final class HubLoop {
    private let router: ZMQSocket

    init(_ settings: SocketSettings, context: ZMQContext) throws(SocketError) {
        router = try ZMQSocket(.router, settings, context: context)
        try router.bind("tcp://127.0.0.1:*")
    }

    var endpoint: String { router.lastEndpoint }

    func run(wakeUp: WakeUp, until isStopped: () -> Bool, asked: (String) -> Void) throws(SocketError) {
        while !isStopped() {
            let ready = try Poller.wait(for: [router.item()], wakeUp: wakeUp, milliseconds: 60_000)
            guard ready.canReceive(router) else { continue }
            while let message = try router.receive() {
                guard let peer = message.routingID, let user = message.userID else { continue }
                asked(user)
                _ = try router.send([message.frames[0]], to: peer)
            }
        }
    }
}

/// Sends 0, 1, 2, … and waits for each answer.
private final class AgentLoop {
    private let dealer: ZMQSocket
    private let monitor: ConnectionMonitor
    private var number = 0
    private var isWaiting = false

    init(_ settings: SocketSettings, endpoint: String, context: ZMQContext) throws(SocketError) {
        let dealer = try ZMQSocket(.dealer, settings, context: context)
        monitor = try ConnectionMonitor(of: dealer, context: context)
        try dealer.connect(endpoint)
        self.dealer = dealer
    }

    func run(wakeUp: WakeUp, until isStopped: () -> Bool, answered: ([UInt8]) -> Void) throws(SocketError) {
        while !isStopped() {
            let items = [dealer.item(output: !isWaiting), monitor.item()]
            let ready = try Poller.wait(for: items, wakeUp: wakeUp, milliseconds: 60_000)
            while try monitor.next() != nil {}
            if ready.canReceive(dealer), let message = try dealer.receive() {
                answered(message.frames[0])
                (number, isWaiting) = (number + 1, false)
            }
            if !isWaiting, ready.canSend(dealer) {
                isWaiting = try dealer.send([[UInt8(number & 255), UInt8(number >> 8)]]) == .sent
            }
        }
    }
}
