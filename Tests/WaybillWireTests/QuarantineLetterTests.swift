import SwiftProtobuf
import Testing
import WaybillModel

@testable import WaybillWire

/// Quarantine on the wire, between programs of any age.
@Suite struct QuarantineLetterTests {
    private let store = StoreID("S1").unsafelyUnwrapped
    private let job = JobID("prices").unsafelyUnwrapped
    private let incarnation = Incarnation(counter: 1, random: 2)

    private var report: QuarantineReport {
        QuarantineReport(
            revision: .max, total: 300,
            entries: QuarantineKind.allCases.map { kind in
                QuarantineEntry(
                    job: job, table: "price", key: "1,A", kind: kind, detail: "UNIQUE constraint failed",
                    hasOlderRow: kind == .kept, session: SessionID(number: 3, random: 4),
                    version: Version(epoch: 1, number: 9), since: Timestamp(milliseconds: 5), attempts: 6)
            }, ordersDone: ["1-a", "2-b"])
    }

    private func letter(_ body: AgentLetter.Body) -> AgentLetter {
        AgentLetter(store: store, incarnation: incarnation, body: body)
    }

    @Test func listsAndOrdersArriveAsTheyWereSent() throws {
        let sent = letter(.quarantine(report))
        #expect(try AgentLetter(decoding: sent.encoded()) == sent)
        let orders: [QuarantineOrder?] = [
            nil, QuarantineOrder(id: "1-a", action: .retry),
            QuarantineOrder(id: "2-b", action: .drop, job: job, table: "price", key: "1,A"),
        ]
        for order in orders {
            #expect(try HubLetter(decoding: HubLetter.quarantineOrder(order).encoded()) == .quarantineOrder(order))
        }
    }

    @Test func anAgentThatKnowsOfNoQuarantineIsToldFromOneThatHasNothingInIt() throws {
        for revision in [nil, 0, 77] as [UInt64?] {
            let hello = AgentLetter.Hello(
                agentVersion: "1", sequence: 1, watermarks: [:], freeBytes: 1, progress: nil,
                quarantineRevision: revision)
            guard case .hello(let heard) = try AgentLetter(decoding: letter(.hello(hello)).encoded()).body else {
                Issue.record("no hello")
                return
            }
            #expect(heard.quarantineRevision == revision)
        }
    }

    @Test func aKindOfANewerAgentIsCountedAndNotShown() throws {
        var wire = WireAgentMessage()
        wire.protocol = protocolVersion
        wire.store = "S1"
        wire.incarnation = WireIncarnation(incarnation)
        wire.quarantine = WireQuarantine(report)
        wire.quarantine.entries[0].kind = .UNRECOGNIZED(9)
        guard case .quarantine(let heard) = try AgentLetter(decoding: wire.serializedBytes()).body else {
            Issue.record("no list")
            return
        }
        #expect(heard.total == 300)
        #expect(heard.entries.count == 2)
    }

    @Test func whatDoesNotBelongInAListIsRefusedOrCut() throws {
        var wire = WireQuarantine(report)
        wire.entries[0].detail = String(repeating: "é", count: 10_000) + "\u{1b}[31m"
        wire.entries[0].key = String(repeating: "k", count: 10_000)
        let entry = try #require(try QuarantineReport(checking: wire).entries.first)
        #expect(entry.detail.utf8.count <= QuarantineLimits.detailBytesMax)
        #expect(entry.key.utf8.count <= QuarantineLimits.keyBytesMax)
        wire.entries[0].table = "a; DROP TABLE b"
        #expect(throws: LetterFault.self) { try QuarantineReport(checking: wire) }
        wire.entries = Array(repeating: WireQuarantineEntry(entry), count: QuarantineLimits.entriesMax + 1)
        #expect(throws: LetterFault.self) { try QuarantineReport(checking: wire) }
    }

    @Test func aListFullToTheBrimFitsIntoAFrame() throws {
        var full = report
        full.entries = Array(repeating: full.entries[0], count: QuarantineLimits.entriesMax)
        for index in full.entries.indices {
            full.entries[index].key = String(repeating: "k", count: QuarantineLimits.keyBytesMax)
            full.entries[index].detail = String(repeating: "d", count: QuarantineLimits.detailBytesMax)
            full.entries[index].table = String(repeating: "t", count: Limits.nameBytesMax)
        }
        full.ordersDone = Array(repeating: String(repeating: "o", count: 128), count: 64)
        #expect(try letter(.quarantine(full)).encoded().count < Limits.messageBytesMax / 4)
    }

    @Test func referencesNameColumnsOfTheTableAndPlainTables() throws {
        var wire = WireTable()
        wire.name = "product"
        var column = WireColumn()
        column.name = "product_id"
        column.type = .text
        wire.columns = [column]
        wire.key = ["product_id"]
        wire.references = [WireReference((key: "product_id", value: "thing"))]
        #expect(try PackageTable(checking: wire).references == ["product_id": "thing"])
        wire.references[0].table = "sqlite_schema"
        #expect(throws: ManifestFault.self) { try PackageTable(checking: wire) }
        wire.references[0] = WireReference((key: "nowhere", value: "thing"))
        #expect(throws: ManifestFault.self) { try PackageTable(checking: wire) }
    }
}
