import Testing
import WaybillModel

@testable import WaybillFuzzing

/// A short run of what `waybill-fuzz` does at length.
@Suite struct FuzzTests {
    private static let inputs = [
        "job-file": 150, "mapping": 300, "admin-json": 400, "package": 300, "package-stream": 300,
    ]

    @Test(arguments: try FuzzedDecoder.all().map(\.name)) func noDamagedValueBreaksAPromise(name: String) throws {
        let decoder = try #require(try FuzzedDecoder.all().first { $0.name == name })
        let report = decoder.run(inputs: FuzzTests.inputs[name] ?? 2000, seed: 4)
        #expect(report.failure?.promise == nil, "input \(report.inputs): \(report.failure?.input ?? [])")
        #expect(report.inputs == FuzzTests.inputs[name] ?? 2000)
        // Neither everything nor nothing is taken: the generator hits what it aims at.
        #expect(report.taken > 0 && report.taken < report.inputs || name == "csv")
    }

    @Test func everySampleIsTaken() throws {
        for decoder in try FuzzedDecoder.all() where decoder.name != "csv" && decoder.name != "enrolment" {
            #expect(!decoder.corpus.isEmpty, "\(decoder.name)")
            for (index, value) in decoder.corpus.enumerated() {
                #expect(try decoder.check(value), "\(decoder.name), sample \(index)")
            }
        }
    }

    @Test func aSeedDecidesTheInputs() {
        let mutator = Mutator(kind: .fields, corpus: Samples.manifests)
        func inputs(_ seed: UInt64) -> [[UInt8]] {
            var random = SplitMix(seed: seed)
            return (0..<200).map { _ in mutator.input(&random) }
        }
        #expect(inputs(1) == inputs(1))
        #expect(inputs(1) != inputs(2))
        #expect(Set(inputs(1)).count > 100)
    }

    @Test func aBrokenPromiseIsReportedWithItsInput() {
        let decoder = FuzzedDecoder(name: "planted", kind: .bytes, corpus: [[1, 2, 3]]) { input in
            if input.count > 3 { throw BrokenPromise("more than it was") }
            return true
        }
        let report = decoder.run(inputs: 1000, seed: 1)
        #expect(report.failure?.promise == "more than it was")
        #expect((report.failure?.input.count ?? 0) > 3)
    }
}
