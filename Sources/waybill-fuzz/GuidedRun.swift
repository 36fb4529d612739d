import ArgumentParser
import Foundation
import WaybillFuzzing

#if LIBFUZZER
    import Synchronization

    /// libFuzzer's own loop, which the sanitizer's runtime brings along; see "libFuzzer as a library" in its manual.
    @_silgen_name("LLVMFuzzerRunDriver")
    private func runDriver(
        _ count: UnsafeMutablePointer<CInt>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt

    /// The driver takes a C function, which cannot carry anything with it.
    private let target = Mutex<FuzzedDecoder?>(nil)

    enum GuidedRun {
        static func start(_ decoders: [FuzzedDecoder], inputs: Int, seed: UInt64) throws {
            guard let decoder = decoders.first, decoders.count == 1 else {
                throw ValidationError("--guided takes one decoder at a time")
            }
            let folder = FileManager.default.temporaryDirectory.path + "/waybill-fuzz-corpus-\(decoder.name)-\(seed)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (index, value) in decoder.corpus.enumerated() {
                try Data(value).write(to: URL(fileURLWithPath: folder + "/sample-\(index)"))
            }
            target.withLock { $0 = decoder }
            var arguments =
                [
                    "waybill-fuzz", folder, "-runs=\(inputs)", "-seed=\(seed)", "-timeout=5", "-rss_limit_mb=2048",
                    "-max_len=65536", "-print_final_stats=1", "-verbosity=1",
                ].map { strdup($0) } + [nil]
            var count = CInt(arguments.count - 1)
            let status = arguments.withUnsafeMutableBufferPointer { buffer in
                var base = buffer.baseAddress.unsafelyUnwrapped
                return runDriver(&count, &base) { bytes, length in
                    let input = Array(UnsafeBufferPointer(start: bytes, count: length))
                    do {
                        _ = try target.withLock { $0 }?.check(input)
                    } catch {
                        // libFuzzer keeps the input of a process that dies.
                        FileHandle.standardError.write(Data("broken promise: \(error)\n".utf8))
                        abort()
                    }
                    return 0
                }
            }
            guard status == 0 else { throw ExitCode(status) }
        }
    }
#else
    enum GuidedRun {
        static func start(_ decoders: [FuzzedDecoder], inputs: Int, seed: UInt64) throws {
            throw ValidationError("this build is not for libFuzzer; see --help")
        }
    }
#endif
