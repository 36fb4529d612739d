import Crypto
import Foundation
import GRDB
import SwiftProtobuf
import WaybillAgent
import WaybillFaultDisk
import WaybillModel
import WaybillSocket
import WaybillWire

func secretHash(_ secret: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: secret)) }

/// The agents' processes.
extension World {
    func start(_ machine: Machine) {
        guard machine.agent == nil, machine.isPresent else { return }
        if machine.disk.isDown { machine.disk.restart() }
        machine.life += 1
        machine.processError = machine.clockError
        machine.isStepDue = false
        machine.isWorkDue = false
        machine.isConnecting = false
        machine.isLossUntold = false
        machine.line = nil
        running = .machine(machine)
        defer { running = nil }
        let life = machine.life
        let surroundings = SteppedAgent.Surroundings(
            now: { [unowned self] in time(at: machine) }, random: { [unowned self] in productChance.next() },
            utcOffsetMinutes: { 60 }, betweenSteps: { [unowned self] in betweenSteps(machine) }, logger: logger)
        do {
            machine.agent = try SteppedAgent(
                at: machine.home, store: machine.store, verifyingKey: signingKey.verifyingKey,
                helloSeconds: World.helloSeconds, retryMilliseconds: 300,
                isNewLife: sabotage != .incarnationStays || machine.life == 1, surroundings: surroundings,
                line: MachineLine(self, machine))
        } catch {
            note("m\(machine.number) cannot start: \(error)")
            mark("agent start failed")
            if !isRough, !machine.disk.isDown {
                checker.violate("the agent of store \(machine.store) cannot start: \(error)")
            }
        }
        if machine.disk.isDown || machine.agent == nil { return died(machine) }
        note("m\(machine.number) of \(machine.store) starts")
        inspectStart(machine)
        connectSoon(machine)
        agenda.add(.agentTick(machine, life: life), at: now + chance.milliseconds(1...500))
    }

    func time(at machine: Machine) -> Timestamp {
        Timestamp(milliseconds: World.start + now + machine.processError)
    }

    func died(_ machine: Machine) {
        machine.agent?.close()
        machine.agent = nil
        machine.life += 1
        if let line = machine.line { lines[line]?.isOpen = false }
        machine.line = nil
        agenda.add(.agentStart(machine), at: now + chance.milliseconds(50...5000))
    }

    func kill(_ machine: Machine, _ how: FaultDisk.Crash) {
        guard machine.agent != nil else { return }
        note("m\(machine.number): \(how)")
        machine.disk.crash(how)
        died(machine)
    }

    // MARK: steps

    func stepSoon(_ machine: Machine) {
        guard machine.agent != nil, !machine.isStepDue else { return }
        machine.isStepDue = true
        agenda.add(.agentStep(machine, life: machine.life), at: now + chance.milliseconds(1...30))
    }

    func tick(_ machine: Machine) {
        step(machine)
        if machine.agent != nil {
            agenda.add(.agentTick(machine, life: machine.life), at: now + (isRough ? 1100 : 1700))
        }
    }

    func step(_ machine: Machine) {
        machine.isStepDue = false
        guard let agent = machine.agent else { return }
        armCrash(machine)
        running = .machine(machine)
        agent.step()
        running = nil
        inspectOutbox(of: machine)
        after(machine)
    }

    func work(_ machine: Machine) {
        machine.isWorkDue = false
        guard let agent = machine.agent else { return }
        armCrash(machine)
        running = .machine(machine)
        let piece = agent.nextPiece
        sabotage?.beforeWork(self, machine, agent, piece)
        let before = beforePiece(machine, piece)
        agent.work()
        running = nil
        if !machine.disk.isDown {
            sabotage?.afterWork(self, machine, agent, piece)
            afterPiece(machine, piece, before)
        }
        after(machine)
        if machine.agent != nil { stepSoon(machine) }
    }

    private func after(_ machine: Machine) {
        if machine.disk.isDown { return died(machine) }
        if machine.agent?.hasWork == true, !machine.isWorkDue {
            machine.isWorkDue = true
            agenda.add(.agentWork(machine, life: machine.life), at: now + chance.milliseconds(1...300))
        }
    }

    private func armCrash(_ machine: Machine) {
        if strikes(.agentKilled, 0.008) {
            inject(.agentKilled)
            machine.disk.crash(at: chance.number(1...40), .killed)
        } else if strikes(.agentPowerCut, 0.008) {
            inject(.agentPowerCut)
            machine.disk.crash(at: chance.number(1...40), .powerCut)
        }
    }

    /// An apply is under way and holds no lock: a till reads, and a letter may be faster than the rest of the apply.
    private func betweenSteps(_ machine: Machine) {
        guard let agent = machine.agent, !machine.disk.isDown else { return }
        inspect(machine)
        guard isRough, chance.happens(0.3) else { return }
        // What is on its way to this machine arrives just now.
        mark("letters during an apply")
        hurryLetters(to: machine)
        agent.step()
    }

    // MARK: enrolment

    func enrol(_ machine: Machine) {
        guard let code = machine.code, machine.isPresent else { return }
        agenda.add(.enrol(machine), at: now + chance.milliseconds(1500...4000))
        guard let hub, !machine.isCut else { return }
        var request = WireEnrolRequest()
        request.protocol = protocolVersion
        request.store = machine.store.rawValue
        request.secret = Data(code)
        request.publicKey = Data((try? CurvePublicKey(z85: machine.key).bytes) ?? [])
        request.machine = "m\(machine.number)"
        guard let frame: [UInt8] = try? request.serializedBytes() else { return }
        if strikes(.lost, 0.2) { return inject(.lost) }
        hub.hearEnrolment(frame, from: World.routing(1_000_000 + machine.number), key: machine.key)
        wakeHub()
    }

    func enrolled(_ machine: Machine, _ frame: [UInt8]) {
        guard let reply = try? WireEnrolReply(serializedBytes: frame) else { return }
        note("m\(machine.number) enrolment: \(reply.accepted ? "accepted" : reply.reason)")
        guard reply.accepted else {
            // Used, expired or forgotten by a restored hub: somebody asks for another one when things are calm.
            machine.code = nil
            return
        }
        machine.code = nil
        mark("enrolled")
        connectSoon(machine)
    }
}

/// A machine's end of its line.
final class MachineLine: SteppedLine {
    private unowned let world: World
    private unowned let machine: Machine

    init(_ world: World, _ machine: Machine) {
        self.world = world
        self.machine = machine
    }

    func send(_ letter: AgentLetter) { world.send(letter, from: machine) }
    func reconnect() { world.reconnect(machine) }
}
