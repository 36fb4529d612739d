import Crypto
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Which chunks of the open package files were found to be what their signed description says.
///
/// A chunk is looked at when it is handed out for the first time: a disk that has lost a bit is noticed here, once, and
/// not at every store in turn. Whoever receives it looks again.
struct SoundChunks {
    private var hashes: [PackageID: [PackageID]] = [:]
    private var sound: [PackageID: Set<Int>] = [:]

    /// - Parameter manifest: asked for once for each package.
    /// - Throws: ``PackageFault`` when the bytes are not those of the chunk.
    mutating func check(
        _ data: UnsafeRawBufferPointer, _ index: Int, of package: PackageID, manifest: () throws -> Manifest?
    ) throws {
        if sound[package]?.contains(index) == true { return }
        let expected = try hashes[package] ?? manifest()?.chunkHashes ?? []
        hashes[package] = expected
        // A chunk that the package does not have is the asker's mistake, not the file's.
        guard expected.indices.contains(index) else { return }
        var hash = SHA256()
        hash.update(bufferPointer: data)
        guard PackageID(Array(hash.finalize())) == expected[index] else {
            throw PackageFault.refused("chunk \(index) of the hub's own copy is damaged")
        }
        sound[package, default: []].insert(index)
    }

    mutating func forget(_ package: PackageID) {
        hashes[package] = nil
        sound[package] = nil
    }
}

extension HubTurn {
    /// The letter with a chunk as it was sealed, read from the file to where it is sent from; nil when the package has no
    /// such chunk.
    mutating func soundChunk(_ index: Int, of package: PackageID) throws -> SharedFrame? {
        let reader = try files.reader(of: package)
        let length = reader.length(of: index)
        guard length > 0 else { return nil }
        let operations = parts.operations
        let head = try HubLetter.chunkHead(package: package, index: index, dataBytes: length)
        return try SharedFrame(head, rest: length) { space in
            try reader.read(index, into: space)
            try chunks.check(UnsafeRawBufferPointer(space), index, of: package) {
                try operations.read { try PackageRecord.manifest(of: package, in: $0) }
                    .map { try Manifest(decoding: $0.manifest) }
            }
        }
    }

    /// A package that cannot be read is made anew, unless it was only that no more files could be opened.
    mutating func notePackageLost(_ package: PackageID, _ store: StoreID, because error: any Error) {
        if let fault = error as? FileFault, fault.isShortOfDescriptors { return }
        forgetChunks(of: package)
        manifests.forget(package)
        files.close(package)
        unkept.append(.packageLost(package, store))
    }

    /// The next who asks for a chunk gets it from the file, looked at as for the first time.
    mutating func forgetChunks(of package: PackageID) {
        chunks.forget(package)
        frames.forget(package)
    }

    /// What may go out of a turn that could not be written: pieces of packages that stores were granted before. A full
    /// disk at headquarters must not keep them from arriving.
    mutating func sayChunks(of batch: Batch) {
        for outgoing in batch.sends {
            if case .chunk = outgoing { say(outgoing) }
        }
    }
}
