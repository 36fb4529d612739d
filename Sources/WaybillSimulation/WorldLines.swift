import SwiftProtobuf
import WaybillAgent
import WaybillHub
import WaybillModel
import WaybillWire

/// The lines: letters are delayed, lost, repeated and overtake each other as the seed wills.
extension World: SteppedLines {
    static func routing(_ line: Int) -> [UInt8] {
        [0] + (0..<4).map { UInt8(truncatingIfNeeded: line >> (8 * (3 - $0))) }
    }

    static func line(_ routing: [UInt8]) -> Int { routing.dropFirst().reduce(0) { $0 << 8 | Int($1) } }

    // MARK: connecting

    func connectSoon(_ machine: Machine) {
        guard machine.agent != nil, !machine.isConnecting else { return }
        machine.isConnecting = true
        agenda.add(.connect(machine, life: machine.life), at: now + chance.milliseconds(5...700))
    }

    func connect(_ machine: Machine) {
        machine.isConnecting = false
        guard let agent = machine.agent, machine.line == nil else { return }
        guard hub != nil, !machine.isCut else { return connectLater(machine) }
        guard admitted.contains(machine.key) || sabotage == .formerKeysObeyed else {
            mark("key refused")
            agent.refused()
            return connectLater(machine)
        }
        // A socket tells of the end of one connection before it tells of the next.
        tellLoss(machine, agent)
        lineCount += 1
        lines[lineCount] = Line(machine: machine, life: machine.life)
        machine.line = lineCount
        mix(10, lineCount)
        agent.connected()
        stepSoon(machine)
    }

    func tellLoss(_ machine: Machine, _ agent: SteppedAgent) {
        guard machine.isLossUntold else { return }
        machine.isLossUntold = false
        agent.disconnected()
    }

    private func connectLater(_ machine: Machine) {
        machine.isConnecting = true
        agenda.add(.connect(machine, life: machine.life), at: now + chance.milliseconds(300...2500))
    }

    /// The line is gone; whether the agent is told is another matter.
    func breakLine(_ number: Int, isNoticed: Bool) {
        guard let line = lines[number], line.isOpen else { return }
        lines[number]?.isOpen = false
        let machine = line.machine
        guard machine.line == number else { return }
        if isNoticed {
            machine.line = nil
            machine.isLossUntold = true
            agenda.add(.lineLost(machine, life: machine.life), at: now + chance.milliseconds(1...200))
            connectSoon(machine)
        }
    }

    /// The agent has given its line up and makes another.
    func reconnect(_ machine: Machine) {
        note("m\(machine.number) connects anew")
        mark("reconnected after silence")
        if let line = machine.line { lines[line]?.isOpen = false }
        machine.line = nil
        connectSoon(machine)
    }

    // MARK: from agents

    func send(_ letter: AgentLetter, from machine: Machine) {
        guard !machine.disk.isDown, let line = machine.line, let frame = try? letter.encoded() else { return }
        mix(frame)
        note("  m\(machine.number) says \(letter.kindForTrace) \(frame.count) \(traceHash % 10_000)")
        noteReports(letter, of: machine)
        sabotage?.agentSent(self, machine, letter)
        for at in fates(line, isToHub: true) { agenda.add(.toHub(line, frame), at: at) }
        // It may die right after a letter has left.
        if strikes(.agentKilled, 0.004) {
            inject(.agentKilled)
            machine.disk.crash(.killed)
        }
    }

    func arriveAtHub(_ number: Int, _ frame: [UInt8]) {
        guard let hub, let line = lines[number] else { return }
        if line.deafToHubUntil > now { return }
        // What was on its way when the line ended may have been taken in already.
        if !line.isOpen, !chance.happens(0.5) { return }
        let key = sabotage == .formerKeysObeyed ? rightfulKey(of: line.machine.store) : line.machine.key
        sabotage?.hubHears(self, number, frame)
        hub.hear(sabotage?.changed(self, frame) ?? frame, from: World.routing(number), key: key)
        wakeHub()
    }

    // MARK: from the hub

    func send(_ frame: [UInt8], to routing: [UInt8]) -> Bool {
        guard !isHubDying else { return true }
        let number = World.line(routing)
        guard let line = lines[number], line.isOpen else { return chance.happens(0.5) }
        mix(frame)
        inspect(frame, to: line.machine)
        if schedule.keepsTrace, let letter = try? HubLetter(decoding: frame) {
            note("  hub says to m\(line.machine.number) \(letter.kindForTrace) \(frame.count) \(traceHash % 10_000)")
        }
        for at in fates(number, isToHub: false) { agenda.add(.toAgent(number, damaged(frame)), at: at) }
        if strikes(.hubKilled, 0.003) {
            inject(.hubKilled)
            note("hub dies after a letter to \(line.machine.store)")
            hubDisk.crash(.killed)
        }
        return true
    }

    /// CURVE leaves no bit flipped on the line; damage of chunks is done to the files.
    private func damaged(_ frame: [UInt8]) -> [UInt8] { frame }

    func arriveAtAgent(_ number: Int, _ frame: [UInt8]) {
        guard let line = lines[number], line.machine.line == number, line.machine.life == line.life,
            let agent = line.machine.agent, line.deafToAgentUntil <= now
        else { return }
        agent.hear(sabotage?.agentHears(self, line.machine, frame) ?? frame)
        stepSoon(line.machine)
    }

    /// Delivers at once what would arrive at a machine later.
    func hurryLetters(to machine: Machine) {
        guard let number = machine.line, let agent = machine.agent else { return }
        let event = agenda.takeFirst { if case .toAgent(let line, _) = $0 { line == number } else { false } }
        if case .toAgent(_, let frame)? = event { agent.hear(frame) }
    }

    func announce(_ frame: [UInt8]) {
        guard !isHubDying else { return }
        for machine in machines where machine.agent != nil && machine.line != nil {
            if strikes(.deafToAnnouncements, 0.7) {
                inject(.deafToAnnouncements)
                continue
            }
            agenda.add(.announced(machine, life: machine.life, frame), at: now + chance.milliseconds(1...50))
        }
    }

    func answerEnrolment(_ frame: [UInt8], to routing: [UInt8]) {
        guard !isHubDying else { return }
        let number = World.line(routing) - 1_000_000
        guard machines.indices.contains(number) else { return }
        // What enrols is a new machine to the hub, also with the key that the store had: nobody knows yet how far it is.
        if (try? WireEnrolReply(serializedBytes: frame))?.accepted == true {
            checker.reached = checker.reached.filter { $0.key.store != machines[number].store }
        }
        if strikes(.lost, 0.2) { return inject(.lost) }
        agenda.add(.enrolled(machines[number], frame), at: now + chance.milliseconds(1...100))
    }

    func admit(key: String) { if !isHubDying { admitted.insert(key) } }
    func shutOut(key: String) { if !isHubDying, admitted.remove(key) != nil { shutOutAt[key] = now } }

    // MARK: fates

    /// When a letter arrives: once, never, or twice.
    private func fates(_ number: Int, isToHub: Bool) -> [Int64] {
        if strikes(.lost, 0.25) {
            inject(.lost)
            return []
        }
        var times = [arrival(number, isToHub: isToHub)]
        if strikes(.repeated, 0.15) {
            inject(.repeated)
            times.append(now + chance.milliseconds(1...20_000))
        }
        return times
    }

    private func arrival(_ number: Int, isToHub: Bool) -> Int64 {
        var at = now + chance.milliseconds(1...30)
        if strikes(.delayed, 0.1) {
            inject(.delayed)
            return at + (chance.happens(0.1) ? chance.milliseconds(20_000...300_000) : chance.milliseconds(50...20_000))
        }
        if strikes(.reordered, 0.3) {
            inject(.reordered)
            return at + chance.milliseconds(1...1500)
        }
        // Without a trouble letters keep their order.
        if isToHub {
            at = max(at, lines[number]?.lastToHub ?? 0)
            lines[number]?.lastToHub = at
        } else {
            at = max(at, lines[number]?.lastToAgent ?? 0)
            lines[number]?.lastToAgent = at
        }
        return at
    }
}
