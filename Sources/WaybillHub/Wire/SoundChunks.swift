import Crypto
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillSessions
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
        _ data: [UInt8], _ index: Int, of package: PackageID, manifest: () throws -> Manifest?
    ) throws {
        if sound[package]?.contains(index) == true { return }
        let expected = try hashes[package] ?? manifest()?.chunkHashes ?? []
        hashes[package] = expected
        // A chunk that the package does not have is the asker's mistake, not the file's.
        guard expected.indices.contains(index) else { return }
        guard PackageID(Array(SHA256.hash(data: data))) == expected[index] else {
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
    /// A chunk as it was sealed.
    mutating func soundChunk(_ index: Int, of package: PackageID) throws -> [UInt8] {
        let data = try files.chunk(index, of: package)
        let operations = parts.operations
        try chunks.check(data, index, of: package) {
            try operations.read { try PackageRecord.manifest(of: package, in: $0) }
                .map { try Manifest(decoding: $0.manifest) }
        }
        return data
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
