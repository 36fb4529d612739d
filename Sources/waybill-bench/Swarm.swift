import CZeroMQ
import Foundation
import Glibc
import WaybillModel
import WaybillSocket

/// Thousands of DEALER sockets, driven by one thread that waits for all of them at once.
final class Swarm {
    let context: ZMQContext
    private let poll: Int32
    private let lines: [SwarmLine]
    /// Called when a line can send for the first time.
    var onConnected: (Int) throws -> Void = { _ in }
    /// Called when a line may have something to receive; true when it had.
    var onNews: (Int) throws -> Bool = { _ in false }
    /// Called some times a second.
    var onTick: () throws -> Void = {}

    private static let commands = UInt32.max
    private static let tickMilliseconds: Int32 = 10

    /// - Parameter endpoints: what each agent connects to: letters, and, if there is a second, announcements.
    init(keys: [CurveKeyPair], serverKey: CurvePublicKey, endpoints: [String]) throws {
        let perAgent = endpoints.count
        context = try ZMQContext(socketsMax: keys.count * perAgent + 16)
        poll = epoll_create1(0)
        guard poll >= 0 else { throw BenchFault("no epoll could be made") }
        var lines: [SwarmLine] = []
        for pair in keys {
            lines.append(try SwarmLine(pair, serverKey: serverKey, endpoints: endpoints, context: context))
        }
        self.lines = lines
        for (number, line) in lines.enumerated() {
            try watch(line.letters.descriptor, UInt32(number))
            if let descriptor = line.announcements?.descriptor { try watch(descriptor, UInt32(number)) }
        }
        try watch(STDIN_FILENO, Swarm.commands)
    }

    private func watch(_ descriptor: Int32, _ number: UInt32) throws {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u32 = number
        guard epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0 else {
            throw BenchFault("a descriptor cannot be waited for")
        }
    }

    func line(_ number: Int) -> SwarmLine { lines[number] }

    /// Until the parent closes our standard input.
    /// - Parameter onCommand: called with each line of it; the answer goes to standard output.
    func run(onCommand: (String) throws -> String) throws {
        var events = [epoll_event](repeating: epoll_event(), count: 512)
        var lastTick = ContinuousClock.now
        while true {
            let count = epoll_wait(poll, &events, Int32(events.count), Swarm.tickMilliseconds)
            for event in events.prefix(Int(max(0, count))) {
                let number = event.data.u32
                guard number != Swarm.commands else {
                    guard let command = readLine(strippingNewline: true) else { return }
                    answer(try onCommand(command))
                    continue
                }
                try look(at: Int(number))
            }
            let now = ContinuousClock.now
            if lastTick.duration(to: now) >= .milliseconds(Int(Swarm.tickMilliseconds)) {
                lastTick = now
                try onTick()
            }
        }
    }

    /// Sending and receiving may notice what the descriptor then no longer shows, so this ends with a look at the socket.
    func look(at number: Int) throws {
        let line = lines[number]
        while let announcements = try line.drainAnnouncements(), announcements {}
        while true {
            let news = line.letters.news()
            if news.canSend, !line.isConnected {
                line.isConnected = true
                try onConnected(number)
                continue
            }
            guard news.canReceive, try onNews(number) else { return }
        }
    }
}

/// One agent's sockets.
final class SwarmLine {
    let letters: ZMQSocket
    private let subscription: Subscription?
    var isConnected = false

    /// A class, for a socket cannot be optional in a tuple or an array.
    final class Subscription {
        let socket: ZMQSocket
        var descriptor: Int32 { socket.descriptor }
        init(_ socket: consuming ZMQSocket) { self.socket = socket }
    }

    var announcements: Subscription? { subscription }

    init(
        _ pair: CurveKeyPair, serverKey: CurvePublicKey, endpoints: [String], context: ZMQContext
    ) throws {
        // As the agent sets them.
        var settings = SocketSettings(
            security: .client(pair, serverKey: serverKey), frameBytesMax: Limits.messageBytesMax)
        settings.sendQueueMax = 200
        let letters = try ZMQSocket(.dealer, settings, context: context)
        try letters.connect(endpoints[0])
        self.letters = letters
        if endpoints.count > 1 {
            let socket = try ZMQSocket(.subscriber, settings, context: context)
            try socket.subscribe(Array("waybill".utf8))
            try socket.connect(endpoints[1])
            subscription = Subscription(socket)
        } else {
            subscription = nil
        }
    }

    /// Reads announcements away; nil when there is no such socket.
    func drainAnnouncements() throws -> Bool? {
        guard let subscription else { return nil }
        guard subscription.socket.news().canReceive else { return false }
        return try subscription.socket.receive() != nil
    }
}

/// One line to the parent, at once.
func answer(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// Seconds of a clock that all processes of a machine share.
func sharedSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
