import WaybillModel
import WaybillSessions
import WaybillSocket
import WaybillWire

/// Chunks as they go out. Whoever asks for the same one gets the same bytes: thousands of stores that fetch one package
/// cost one reading, one encoding, and in all their queues together one copy.
///
/// That holds however far apart they are: a chunk that waits in some store's queue is never read a second time. What is
/// queued for thousands of stores with slow lines is no more than the packages that they fetch, not so many chunks for
/// each of them.
struct ChunkFrames {
    /// Bytes kept for the next who asks. The stores of an audience fetch the same package at about the same time, each
    /// from its beginning.
    static let bytesMax = 16 * 1024 * 1024
    /// Chunks that may be in queues and are not kept otherwise, before those that have left them all are struck off.
    static let queuedMax = 4096

    private struct Name: Hashable {
        var package: PackageID
        var index: Int
    }

    private var frames: [Name: SharedFrame] = [:]
    /// In the order in which they came; the oldest goes first.
    private var order: [Name] = []
    private(set) var bytes = 0
    /// Of those that went, and that a queue may still hold.
    private var queued: [Name: Queued] = [:]
    private var queuedMax = ChunkFrames.queuedMax
    var queuedCount: Int { queued.count }

    /// libzmq lets go of a frame on a thread of its own, when the last queue has sent it.
    private struct Queued { weak var frame: SharedFrame? }

    func frame(_ index: Int, of package: PackageID) -> SharedFrame? {
        let name = Name(package: package, index: index)
        return frames[name] ?? queued[name]?.frame
    }

    mutating func keep(_ frame: SharedFrame, _ index: Int, of package: PackageID) {
        let name = Name(package: package, index: index)
        guard frames[name] == nil, frame.count <= ChunkFrames.bytesMax else { return }
        queued[name] = nil
        while bytes + frame.count > ChunkFrames.bytesMax, !order.isEmpty { forget(order.removeFirst()) }
        frames[name] = frame
        order.append(name)
        bytes += frame.count
    }

    mutating func forget(_ package: PackageID) {
        for name in order where name.package == package { forget(name) }
        order.removeAll { $0.package == package }
        queued = queued.filter { $0.key.package != package }
    }

    private mutating func forget(_ name: Name) {
        guard let frame = frames.removeValue(forKey: name) else { return }
        bytes -= frame.count
        queued[name] = Queued(frame: frame)
        guard queued.count >= queuedMax else { return }
        queued = queued.filter { $0.value.frame != nil }
        // Twice what is left, so that looking through them costs little for each.
        queuedMax = max(ChunkFrames.queuedMax, 2 * queued.count)
    }
}

/// Signed descriptions that were handed out lately, so that thousands of grants of one package cost one look into
/// `hub.db` and one check of the signature.
struct GrantedManifests {
    /// Each is under 80 KiB, and mostly a few hundred bytes.
    static let countMax = 64

    struct Signed {
        var manifest: [UInt8]
        var signature: [UInt8]
    }

    private var known: [PackageID: Signed] = [:]
    private var order: [PackageID] = []

    subscript(package: PackageID) -> Signed? { known[package] }

    mutating func keep(_ signed: Signed, of package: PackageID) {
        guard known[package] == nil else { return }
        if order.count >= GrantedManifests.countMax { known[order.removeFirst()] = nil }
        known[package] = signed
        order.append(package)
    }

    mutating func forget(_ package: PackageID) {
        known[package] = nil
        order.removeAll { $0 == package }
    }
}

extension HubTurn {
    /// A chunk as it goes out; nil when the package has no such chunk.
    mutating func chunkFrame(_ index: Int, of package: PackageID) throws -> SharedFrame? {
        if let known = frames.frame(index, of: package) { return known }
        guard let frame = try soundChunk(index, of: package) else { return nil }
        frames.keep(frame, index, of: package)
        return frame
    }

    /// The description of a package with the signature that stores believe now; nil when it is no longer kept.
    mutating func signedManifest(of package: PackageID) throws -> GrantedManifests.Signed? {
        if let known = manifests[package] { return known }
        guard let kept = try parts.operations.read({ try PackageRecord.manifest(of: package, in: $0) }) else {
            return nil
        }
        let signature = try parts.keyring.signature(of: kept.manifest, signed: kept.signature)
        let signed = GrantedManifests.Signed(manifest: kept.manifest, signature: signature)
        manifests.keep(signed, of: package)
        return signed
    }
}
