import Foundation
import Testing
import WaybillDatabase
import WaybillModel
import WaybillWire

@testable import WaybillPackage

/// A package that is unpacked while it is still being fetched.
@Suite struct UnpackingTests {
    private let scratch: Scratch
    private let content: [UInt8]
    private let sealed: SealedPackage
    private let chunks: [[UInt8]]
    private let file: IncomingFile

    init() throws {
        scratch = try Scratch()
        // Several chunks, and several pieces of output: half of it compresses.
        content = noise(400_000) + [UInt8](repeating: 3, count: 3_000_000)
        sealed = try sealBytes(content, in: scratch.path)
        let reader = try ChunkReader(path: sealed.path)
        chunks = try sealed.manifest.chunkHashes.indices.map { try reader.chunk($0) }
        file = try IncomingFile.open(folder: scratch.path, manifest: sealed.manifest)
    }

    private var raw: String { scratch.path + "/out.raw" }

    private func begin(_ manifest: Manifest? = nil) throws -> Unpacking {
        try Unpacking(compressedPath: file.path, manifest: manifest ?? sealed.manifest, to: raw)
    }

    private func store(_ index: Int) throws { #expect(try file.write(chunks[index], at: index)) }

    @Test func eachChunkIsUnpackedAsItComes() throws {
        #expect(chunks.count >= 3)
        let unpacking = try begin()
        for index in chunks.indices {
            try store(index)
            try unpacking.advance(to: file.heldWithoutGap)
            #expect(unpacking.chunks == index + 1)
            #expect(!FileManager.default.fileExists(atPath: raw), "it has its name when it is whole")
        }
        try unpacking.finish()
        #expect(try DurableFile.read(raw, bytesMax: 1 << 23) == content)
    }

    @Test func whatWasUnpackedIsNotUnpackedAgain() throws {
        let unpacking = try begin()
        try store(0)
        try unpacking.advance(to: 1)
        // Nobody looks at the first chunk any more.
        try file.overwrite(at: 0, with: [1, 2, 3])
        for index in chunks.indices.dropFirst() { try store(index) }
        try unpacking.advance(to: chunks.count)
        try unpacking.advance(to: chunks.count + 1)
        try unpacking.finish()
        #expect(try DurableFile.read(raw, bytesMax: 1 << 23) == content)
    }

    @Test func aChunkThatTheDiskHasDamagedIsNotDecompressed() throws {
        for index in chunks.indices { try store(index) }
        try file.overwrite(at: sealed.manifest.chunkBytes + 5, with: [chunks[1][5] ^ 1])
        let unpacking = try begin()
        #expect(throws: PackageFault.self) { try unpacking.advance(to: chunks.count) }
        #expect(unpacking.chunks == 1)
    }

    @Test func nothingIsLeftOfWhatWasNotFinished() throws {
        do {
            let unpacking = try begin()
            try store(0)
            try unpacking.advance(to: 1)
            #expect(throws: PackageFault.self) { try unpacking.finish() }
        }
        #expect(try scratch.files.filter { $0.hasPrefix("out") } == [])
    }

    @Test func theWholeHasToBeWhatWasDeclaredBesideEachChunk() throws {
        for index in chunks.indices { try store(index) }
        var manifest = sealed.manifest
        manifest.id = manifest.rawSHA256
        let unpacking = try begin(manifest)
        try unpacking.advance(to: chunks.count)
        #expect(throws: PackageFault.self) { try unpacking.finish() }
        #expect(!FileManager.default.fileExists(atPath: raw))
    }
}

extension IncomingFile {
    /// As a bad disk does.
    fileprivate func overwrite(at offset: Int, with bytes: [UInt8]) throws {
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data(bytes))
        try handle.close()
    }
}
