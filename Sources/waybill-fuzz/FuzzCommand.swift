import ArgumentParser
import Foundation
import WaybillFuzzing

/// Throws damaged values at every decoder that reads what comes from outside. Not installed.
@main
struct FuzzCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waybill-fuzz", abstract: "Throw damaged values at Waybill's decoders.",
        discussion: """
            Each input is a real value, changed by a generator that the seed decides: the same seed gives the same \
            inputs. No input may crash a decoder, take longer than two seconds, or leave memory behind; what is taken \
            must be within the limits, and be the same after being written and read again.

            EXAMPLES
              swift run -c release waybill-fuzz --decoder all --inputs 1000000 --seed 1
              waybill-fuzz --decoder manifest --replay crash-input

            With coverage as a guide (libFuzzer), for one decoder at a time:
              swift build -c release --product waybill-fuzz --scratch-path .build/fuzz \\
                -Xswiftc -sanitize=fuzzer -Xswiftc -DLIBFUZZER
              .build/fuzz/release/waybill-fuzz --decoder manifest --guided --inputs 1000000
            """)

    @Option(help: "A decoder's name, or all.")
    var decoder = "all"
    @Option(help: "Inputs for each decoder.")
    var inputs = 100_000
    @Option(help: "Decides the inputs.")
    var seed: UInt64 = 1
    @Option(help: "Feed the bytes of a file instead.")
    var replay: String?
    @Flag(help: "Let libFuzzer choose the inputs; only in a build for it.")
    var guided = false
    @Flag(help: "List the decoders.")
    var list = false

    func run() throws {
        let all = try FuzzedDecoder.all()
        if list { return all.forEach { print($0.name) } }
        let chosen = all.filter { decoder == "all" || $0.name == decoder }
        guard !chosen.isEmpty else {
            throw ValidationError("there is no decoder '\(decoder)': \(all.map(\.name).joined(separator: ", "))")
        }
        if let replay { return try feed(replay, to: chosen) }
        if guided { return try GuidedRun.start(chosen, inputs: inputs, seed: seed) }
        var failures = 0
        print("decoder              inputs     taken   per second  slowest ms  memory MB")
        for decoder in chosen {
            let report = decoder.run(inputs: inputs, seed: seed)
            print(FuzzCommand.line(report))
            guard let failure = report.failure else { continue }
            failures += 1
            let path = "fuzz-\(decoder.name)-\(seed)-\(report.inputs).input"
            try Data(failure.input).write(to: URL(fileURLWithPath: path))
            print("  input \(report.inputs) of seed \(seed): \(failure.promise); kept as \(path)")
        }
        if failures > 0 { throw ExitCode.failure }
    }

    private static func line(_ report: FuzzReport) -> String {
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(1, width - text.count)) + text
        }
        let rate = Int(Double(report.inputs) / max(report.seconds, 0.001))
        return report.decoder + right("\(report.inputs)", 27 - report.decoder.count) + right("\(report.taken)", 10)
            + right("\(rate)", 13) + right("\((report.slowestMilliseconds * 10).rounded() / 10)", 12)
            + right("\(report.memoryGrowthBytes >> 20)", 11)
    }

    private func feed(_ path: String, to decoders: [FuzzedDecoder]) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        for decoder in decoders {
            print("\(decoder.name): \(try decoder.check(bytes) ? "taken" : "refused")")
        }
    }
}
