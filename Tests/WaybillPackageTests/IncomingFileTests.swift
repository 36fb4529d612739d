import Foundation
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillPackage

@Suite struct IncomingFileTests {
    private let scratch: Scratch
    private let sealed: SealedPackage
    private let chunks: [[UInt8]]

    init() throws {
        scratch = try Scratch()
        sealed = try sealBytes(noise(500_000), in: scratch.path)
        let reader = try ChunkReader(path: sealed.path)
        chunks = try sealed.manifest.chunkHashes.indices.map { try reader.chunk($0) }
    }

    private func open() throws -> IncomingFile {
        try IncomingFile.open(folder: scratch.path, manifest: sealed.manifest)
    }

    @Test func chunksInAnyOrderMakeThePackage() throws {
        let file = try open()
        #expect(file.held == [false, false, false, false])
        var heldWithoutGap: [Int] = []
        for index in [3, 0, 2] {
            #expect(try file.write(chunks[index], at: index))
            heldWithoutGap.append(file.heldWithoutGap)
        }
        #expect(!file.isComplete && heldWithoutGap == [0, 1, 1])
        #expect(try file.write(chunks[1], at: 1))
        #expect(file.isComplete && file.heldWithoutGap == 4)
        #expect(try DurableFile.read(file.path) == DurableFile.read(sealed.path))
    }

    @Test func aRestartGoesOnWithWhatIsThere() throws {
        do {
            let file = try open()
            for index in [0, 2] { #expect(try file.write(chunks[index], at: index)) }
        }
        let file = try open()
        #expect(file.held == [true, false, true, false] && file.heldWithoutGap == 1)
    }

    @Test func aWrongChunkIsNotWritten() throws {
        let file = try open()
        var wrong = chunks[1]
        wrong[17] ^= 1
        #expect(try !file.write(wrong, at: 1))
        #expect(try !file.write(chunks[0], at: 1))
        #expect(try !file.write(Array(chunks[1].dropLast()), at: 1))
        #expect(try !file.write([], at: 1))
        #expect(try !file.write(chunks[1], at: 4))
        #expect(try !file.write(chunks[1], at: -1))
        #expect(try DurableFile.read(file.path).isEmpty)
    }

    @Test func aRepeatedChunkChangesNothing() throws {
        let file = try open()
        #expect(try file.write(chunks[0], at: 0))
        #expect(try file.write(chunks[0], at: 0))
        #expect(file.held == [true, false, false, false])
    }

    /// What a kill or a power cut can leave: any prefix of the chunk being written, zeros for what never reached the disk.
    @Test func whateverACrashLeavesOnlyWholeChunksCount() throws {
        for cut in [0, 1, 4096, chunks[1].count - 1] {
            let path = try open().path
            let partial = chunks[0] + chunks[1].prefix(cut)
            try Data(partial).write(to: URL(fileURLWithPath: path))
            #expect(try open().held == [true, false, false, false])
            try Data(partial + [UInt8](repeating: 0, count: 400_000 - partial.count)).write(
                to: URL(fileURLWithPath: path))
            #expect(try open().held == [true, false, false, false])
        }
    }

    @Test func aFileThatGrewTooLongIsCutToSize() throws {
        let file = try open()
        for index in chunks.indices { #expect(try file.write(chunks[index], at: index)) }
        try Data(chunks.joined() + [1, 2, 3]).write(to: URL(fileURLWithPath: file.path))
        let again = try open()
        #expect(again.isComplete)
        #expect(try DurableFile.read(again.path).count == Int(sealed.manifest.bytes))
    }

    @Test func aLinkInTheFilesPlaceIsNotFollowed() throws {
        let path = scratch.path + "/" + sealed.id.hex + ".part"
        #expect(symlink(scratch.path + "/elsewhere", path) == 0)
        #expect(throws: FileFault.self) { try open() }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/elsewhere"))
    }
}
