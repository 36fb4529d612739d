import Testing
import WaybillModel
import WaybillWire

@Suite struct StrangeLetterTests {
    private static let incarnation = Incarnation(counter: 3, random: 7)

    private static func report(_ id: Int64, outcome: WireOutcome) -> WireReport {
        var report = WireReport()
        report.id = id
        report.incarnation.counter = incarnation.counter
        report.incarnation.random = incarnation.random
        report.sequence = id
        report.session = "5-00000000000a"
        report.job = "prices"
        report.run = 1
        report.attempt = 1
        report.outcome = outcome
        return report
    }

    private static func message(_ fill: (inout WireAgentMessage) -> Void) throws -> [UInt8] {
        var wire = WireAgentMessage()
        wire.protocol = protocolVersion
        wire.store = "S001"
        wire.incarnation.counter = incarnation.counter
        wire.incarnation.random = incarnation.random
        fill(&wire)
        return try wire.serializedBytes()
    }

    @Test func aReportWithAnOutcomeOfANewerAgentDoesNotHoldUpTheOthers() throws {
        let frame = try Self.message { wire in
            wire.reports.reports = [
                Self.report(1, outcome: .downloaded), Self.report(2, outcome: .UNRECOGNIZED(99)),
                Self.report(3, outcome: .unspecified), Self.report(4, outcome: .applied),
            ]
        }
        let letter = try AgentLetter(decoding: frame)
        guard case .reports(let reports) = letter.body else {
            Issue.record("not reports: \(letter.body)")
            return
        }
        #expect(reports.map(\.id) == [1, 4])
        #expect(letter.strangeReports.map(\.name.id) == [2, 3])
        #expect(letter.strangeReports.allSatisfy { $0.name.incarnation == Self.incarnation })
        #expect(letter.strangeReports.first?.fault.description == "a report has no known outcome")
    }

    @Test(
        arguments: [
            { (report: inout WireReport) in report.session = "no session" },
            { (report: inout WireReport) in report.job = "" },
            { (report: inout WireReport) in report.run = 0 },
            { (report: inout WireReport) in report.attempt = -1 },
        ] as [@Sendable (inout WireReport) -> Void])
    func aReportThatMakesNoSenseKeepsItsName(_ spoil: @Sendable (inout WireReport) -> Void) throws {
        var report = Self.report(8, outcome: .applied)
        spoil(&report)
        let letter = try AgentLetter(decoding: try Self.message { [report] in $0.reports.reports = [report] })
        #expect(letter.body == .reports([]))
        #expect(letter.strangeReports.map(\.name.id) == [8])
    }

    @Test func aReportWithoutAnIncarnationIsRefusedBecauseItCannotBeNamed() throws {
        var report = Self.report(1, outcome: .applied)
        report.clearIncarnation()
        let frame = try Self.message { [report] in $0.reports.reports = [report] }
        #expect(throws: LetterFault("the incarnation has no counter")) { try AgentLetter(decoding: frame) }
    }

    @Test func aBodyOfANewerKindIsToldFromABrokenMessage() throws {
        let unknown = try Self.message { _ in }
        let newer = #expect(throws: LetterFault.self) { try AgentLetter(decoding: unknown) }
        #expect(newer?.isOfNewerKind == true)
        let broken = #expect(throws: LetterFault.self) { try AgentLetter(decoding: [0xff, 0xff]) }
        #expect(broken?.isOfNewerKind == false)
    }
}
