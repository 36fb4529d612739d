import Foundation
import SwiftProtobuf
import WaybillJobs
import WaybillModel
import WaybillWire

/// Real values, as real programs write them.
enum Samples {
    static let job = JobID("prices").unsafelyUnwrapped
    private static let store = StoreID("S042").unsafelyUnwrapped
    private static let incarnation = Incarnation(counter: 7, random: 0xfeed_beef_dead_cafe)
    private static let session = SessionID(number: 42, random: 0x9f3c_1b2e_55aa)
    private static let mark = Watermark(version: Version(epoch: 1, number: 280), session: session)
    private static let hash = PackageID([UInt8](0..<32)).unsafelyUnwrapped

    private static func all(_ encodings: [() throws -> [UInt8]]) -> [[UInt8]] { encodings.compactMap { try? $0() } }

    static var agentLetters: [[UInt8]] {
        let hello = AgentLetter.Hello(
            agentVersion: "0.1.0", sequence: 12, watermarks: [job: mark], freeBytes: 1 << 33,
            progress: .init(session: session, bytesDone: 1, bytesTotal: 2), utcOffsetMinutes: 60)
        let reports = [StoreOutcome.downloaded, .applied, .applyFailed].enumerated().map { index, outcome in
            StoreReport(
                id: Int64(index), incarnation: incarnation, sequence: 13, session: session, job: job, run: 1,
                attempt: 2, outcome: outcome, at: Timestamp(milliseconds: 1_795_258_380_123), rowsChanged: 9,
                longestLockMilliseconds: 12, message: "table price: no space", isTransient: true,
                watermark: outcome == .applied ? mark : nil)
        }
        let bodies: [AgentLetter.Body] = [
            .hello(hello), .request(session: session, run: 1, attempt: 1), .chunkRequest(package: hash, index: 3),
            .reports(reports), .digests(digests), .quarantine(quarantine),
            .keys(KeyNotice(newKey: hash.bytes)), .keys(KeyNotice(knows: hubKeys)),
        ]
        return all(
            bodies.map { body in
                { try AgentLetter(store: store, incarnation: incarnation, body: body).encoded() }
            })
    }

    private static let hubKeys = HubKeys(curve: [UInt8](0..<32), signing: [UInt8](32..<64))
    private static let key: [KeyValue] = [.text(Array("P1".utf8)), .integer(-7), .real(0.5), .blob([0, 255])]

    private static var digests: AgentLetter.Digests {
        AgentLetter.Digests(
            id: 3, step: 2, job: job, watermark: mark,
            tables: [
                .init(
                    name: "price",
                    ranges: [
                        .init(
                            digest: TableDigest(),
                            rows: [.init(key: key, sha256: hash.bytes, values: [nil, .text([0x61])])], next: key)
                    ]), .init(name: "product", fault: "table product is not there"),
            ])
    }

    private static var quarantine: QuarantineReport {
        QuarantineReport(
            revision: 9, total: 2,
            entries: [
                QuarantineEntry(
                    job: job, table: "price", key: "P1,-7", kind: .refused, detail: "UNIQUE constraint failed",
                    hasOlderRow: true, session: session, version: mark.version, since: Timestamp(milliseconds: 1),
                    attempts: 2)
            ], ordersDone: ["0123456789abcdef"])
    }

    static var hubLetters: [[UInt8]] {
        let welcome = HubLetter.Welcome(
            hubRun: 5, hubTime: Timestamp(milliseconds: 1_795_258_380_123),
            offers: [.init(session: session, run: 1, job: job, bytes: 4711, attempt: 1, follows: [job])],
            cancels: [.init(session: session, job: job, run: 1)], helloSeconds: 30,
            held: [.init(session: session, run: 2, job: job)])
        let letters: [HubLetter] = [
            .welcome(welcome),
            .grant(
                .init(
                    session: session, run: 1, attempt: 1, manifest: manifests[0],
                    signature: [UInt8](repeating: 9, count: 64))),
            .notGranted(session: session, run: 1, reason: "a newer session is on offer"),
            .chunk(package: hash, index: 0, data: [UInt8](repeating: 0x28, count: 300)),
            .noChunk(package: hash, index: 1, reason: "ask for the session first"),
            .acknowledgement([ReportName(incarnation: incarnation, id: 4)]),
            .cancel(.init(session: session, job: job, run: 1)), .refused(reason: "not you"), .regressed(counter: 8),
            .examine(
                .init(
                    id: 3, step: 2, job: job,
                    tables: [
                        .init(name: "price", ranges: [KeyRange(lower: key, upper: nil)], rows: true, values: true)
                    ])),
            .quarantineOrder(nil),
            .quarantineOrder(
                QuarantineOrder(id: "0123456789abcdef", action: .retry, job: job, table: "price", key: "P1")),
            .keyAnswer(KeyAnswer(newKey: hash.bytes, isAccepted: false, reason: "not now")),
        ]
        return all(letters.map { letter in { try letter.encoded() } })
    }

    static var manifests: [[UInt8]] {
        let product = TableShape(
            name: "product",
            columns: [ColumnShape("product_id", .text), ColumnShape("name", .text, nullable: true)],
            key: ["product_id"])
        let price = TableShape(
            name: "price", columns: [ColumnShape("id", .integer), ColumnShape("amount", .real)], key: ["id"])
        func manifest(_ kind: PackageKind, _ tables: [PackageTable], chunks: Int) -> Manifest {
            Manifest(
                job: job, session: session, version: mark.version, kind: kind, bases: kind == .full ? [] : [mark],
                tables: tables, created: Timestamp(milliseconds: 1), lockBudgetMilliseconds: 40, id: hash,
                bytes: Int64(chunks) * 131_072 - 5, chunkBytes: 131_072,
                chunkHashes: [PackageID](repeating: hash, count: chunks), rawSHA256: hash, rawBytes: 999_999)
        }
        return all([
            { try manifest(.full, [PackageTable(shape: product, rows: 3, removed: 0)], chunks: 1).encoded() },
            {
                try manifest(
                    .delta,
                    [
                        PackageTable(shape: product, rows: 3, removed: 1),
                        PackageTable(shape: price, rows: 9, removed: 0, isWhole: true, formerNames: ["amount": "sum"]),
                    ], chunks: 3
                ).encoded()
            },
            {
                try manifest(.full, [PackageTable(shape: price, rows: 1, removed: 0, keepsRows: true)], chunks: 40)
                    .encoded()
            },
            {
                try manifest(
                    .delta,
                    [
                        PackageTable(
                            shape: product, rows: 1, removed: 0,
                            ranges: [KeyRange(lower: [.text([0x41])], upper: [.text([0x42])])],
                            references: ["name": "price"])
                    ], chunks: 1
                ).encoded()
            },
        ])
    }

    static var announcements: [[UInt8]] {
        var wire = WireAnnouncement()
        wire.job = job.rawValue
        wire.session = session.rawValue
        wire.spreadMs = 5000
        return all([{ [wire] in try wire.serializedBytes() }])
    }

    static var enrolments: [[UInt8]] {
        var request = WireEnrolRequest()
        request.protocol = protocolVersion
        request.store = store.rawValue
        request.secret = Data(repeating: 3, count: 16)
        request.publicKey = Data(repeating: 4, count: 32)
        request.machine = "till-7.s042.example.com"
        var reply = WireEnrolReply()
        reply.protocol = protocolVersion
        reply.accepted = true
        reply.agentsEndpoint = "tcp://hub.example.com:7700"
        reply.announcementsEndpoint = "tcp://hub.example.com:7701"
        return all([
            { [request] in try request.serializedBytes() }, { [reply] in try reply.serializedBytes() },
        ])
    }

    static var codes: [[UInt8]] {
        let code = EnrolmentCode(
            store: store, secret: [UInt8](repeating: 5, count: 16), enrolmentEndpoint: "tcp://hub.example.com:7702",
            hubCurveKey: [UInt8](repeating: 6, count: 32), hubSigningKey: [UInt8](repeating: 7, count: 32))
        return all([{ Array(try code.encoded().utf8) }])
    }

    private static func texts(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    static let csvFiles = texts([
        "product_id,name,category_id\np1,\"Tea, green\",c1\np2,\"He said \"\"no\"\"\",\np3,,c2\n",
        "\u{feff}a;b\r\n1;\"two\r\nlines\"\r\n", "id\n\n\n1\n\"\"\n", "",
        "rate,valid_from\n1.25,2026-01-01\n-0,2026-12-31\n",
    ])

    static let jobFiles = RetailJobs.files.map { Array($0.text.utf8) }

    static let mappings = texts([
        """
        files: "ARTPREIS_*.txt"
        table: product_release
        separator: ";"
        numbers: { decimal: ",", thousands: "." }
        columns:
          product_id: ARTNR
          legal_entity_id: { constant: LE }
          base_price: { from: PREIS }
          stopped: { from: GESPERRT, values: { J: 1, N: 0 }, otherwise: 0 }
        skip: [LAGER]
        """
    ])

    static let adminRequests = texts([
        #"{"jobs":["prices"],"full":true,"stores":["S1","S2"],"now":false}"#,
        #"{"stores":["S1"],"reason":"wrong prices"}"#, #"{"older_than_seconds":86400,"dry_run":true}"#,
        #"{"store":"S042"}"#, #"{"file":"a.yaml","text":"job: x\n"}"#, #"{"table":"product","import":7,"force":true}"#,
        #"{"files":["product.csv"]}"#, "{}",
    ])
}
