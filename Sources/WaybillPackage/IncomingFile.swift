import Crypto
import Foundation
import WaybillDatabase
import WaybillModel
import WaybillWire

/// A package that is being downloaded: a file that fills chunk by chunk and survives being cut short anywhere.
///
/// There is no list of what is stored: on opening, every chunk's hash is computed anew. That costs a second for a
/// gigabyte and cannot be wrong after a power cut.
public final class IncomingFile {
    public let path: String
    /// Which chunks are stored and verified, by index.
    public private(set) var held: [Bool]
    private let manifest: Manifest
    private let descriptor: Int32

    /// Opens or makes the file for a package in `folder`.
    public static func open(folder: String, manifest: Manifest) throws(FileFault) -> IncomingFile {
        try IncomingFile(path: path(of: manifest.id, in: folder), manifest: manifest)
    }

    /// Where it lies.
    public static func path(of package: PackageID, in folder: String) -> String { folder + "/" + package.hex + ".part" }

    private init(path: String, manifest: Manifest) throws(FileFault) {
        self.path = path
        self.manifest = manifest
        descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw FileFault("open", path) }
        held = []
        // Longer than the package it can only be by damage; the hash of the whole would never be right.
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileFault("inspect", path) }
        if status.st_size > manifest.bytes {
            guard ftruncate(descriptor, off_t(manifest.bytes)) == 0 else { throw FileFault("shorten", path) }
        }
        for index in manifest.chunkHashes.indices {
            let bytes = try DurableFile.read(
                descriptor, offset: Int64(index) * Int64(manifest.chunkBytes), count: manifest.chunkLength(index),
                path: path)
            held.append(bytes.count == manifest.chunkLength(index) && sha256(bytes) == manifest.chunkHashes[index])
        }
        closeGap()
    }

    deinit { close(descriptor) }

    public var isComplete: Bool { heldWithoutGap == held.count }

    /// How many chunks are stored without a gap, from the first on.
    public private(set) var heldWithoutGap = 0

    /// Stores a chunk if its hash is the manifest's.
    /// - Returns: false when it is not: nothing was written.
    public func write(_ data: [UInt8], at index: Int) throws(FileFault) -> Bool {
        guard held.indices.contains(index), data.count == manifest.chunkLength(index),
            sha256(data) == manifest.chunkHashes[index]
        else { return false }
        guard !held[index] else { return true }
        let start = off_t(index) * off_t(manifest.chunkBytes)
        var done = 0
        while done < data.count {
            let written = data.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, data.count - done, start + off_t(done))
            }
            if written < 0 {
                if errno == EINTR { continue }
                throw FileFault("write", path)
            }
            done += written
        }
        held[index] = true
        closeGap()
        return true
    }

    private func closeGap() {
        while heldWithoutGap < held.count, held[heldWithoutGap] { heldWithoutGap += 1 }
    }
}
