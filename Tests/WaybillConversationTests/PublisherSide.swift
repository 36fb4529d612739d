import WaybillHub
import WaybillModel
import WaybillSessions
import WaybillWire

/// The hub's publisher: sessions and single packages, as `SessionBuilder` makes them. It reads what is committed and
/// takes its time, so that much has changed when its answer comes.
extension Conversation {
    func publish(_ job: JobID, isFull: Bool = false, stores: [StoreID]? = nil) {
        guard hub != nil else { return }
        let id = database.create(job: job, isFull: isFull, stores: stores, random: chance.next())
        note("publish \(id) of \(job)\(isFull ? ", full" : "")")
        // Two who publish at once may come to the queue in either order.
        let place = mischief(0.2) ? 0 : hub?.tasks.count ?? 0
        hub?.tasks.insert(.build(id), at: place)
        wakePublisher()
    }

    func wakePublisher() {
        guard let process = hub, !process.tasks.isEmpty, !process.isPublishing else { return }
        hub?.isPublishing = true
        agenda.add(.publisher(run: process.settings.hubRun), at: now + chance.number(1...300))
    }

    /// One task: what it reads, it reads at the beginning; its answer goes to the wire thread at the end.
    func publishNext() {
        guard let task = hub?.tasks.first, let run = hub?.settings.hubRun else { return }
        hub?.tasks.removeFirst()
        let answer: HubOrder?
        switch task {
        case .build(let id): answer = build(id)
        case .prepare(let id, let store, let base, let isRepair):
            answer = prepare(id, store, base: base, isRepair: isRepair)
        }
        agenda.add(.published(run: run, answer), at: now + chance.number(1...400))
    }

    func published(_ answer: HubOrder?) {
        hub?.isPublishing = false
        if let answer { post(answer) }
        wakePublisher()
    }

    private func build(_ id: SessionID) -> HubOrder? {
        guard var session = database.sessions[id], session.status == .started else { return nil }
        session.version = headquarters.version(of: session.job)
        var sealed: [HubDatabase.Package] = []
        var deliveries: [Delivery] = []
        var shared: [Int64?: PackageRef] = [:]
        let targets = session.stores ?? agents.keys.sorted()
        // One package for each base version, over all watermarks of that version.
        let marks = targets.map { store in
            (store, session.isFull ? nil : known(database.positions[store]?[session.job]))
        }
        for (store, mark) in marks {
            var delivery = Delivery(
                session: id, store: store, job: session.job, version: session.version, package: nil,
                tryCount: Int(secondChance.number(0...3)))
            delivery.ignoresWindow = secondChance.happens(0.1)
            let there = mark.flatMap { headquarters.rows(of: session.job, at: $0.version) }
            let isHere = there == headquarters.rows(of: session.job, at: session.version)
            if isHere || isOnItsWay(to: store, session) {
                delivery.isNoData = true
            } else if let package = shared[mark?.version.number] {
                delivery.package = package
            } else {
                let bases = Set(marks.compactMap(\.1).filter { $0.version == mark?.version })
                let package = seal(session, bases: mark == nil ? [] : Array(bases))
                shared[mark?.version.number] = package.ref
                sealed.append(package)
                delivery.package = package.ref
            }
            deliveries.append(delivery)
        }
        session.status = sealed.isEmpty ? .noData : .available
        return .offer(session, sealed, sealed.isEmpty ? [] : deliveries)
    }

    /// nil when the watermark is of a session that this hub does not know.
    private func known(_ mark: Watermark?) -> Watermark? {
        mark.flatMap { database.sessions[$0.session] == nil ? nil : $0 }
    }

    private func isOnItsWay(to store: StoreID, _ session: HubDatabase.Session) -> Bool {
        guard !session.isFull, let newest = database.open(of: store).last(where: { $0.job == session.job }),
            [.available, .requested, .downloaded].contains(newest.status), newest.cancelAskedAt == nil
        else { return false }
        return headquarters.rows(of: session.job, at: newest.version)
            == headquarters.rows(of: session.job, at: session.version)
    }

    private func prepare(_ id: SessionID, _ store: StoreID, base: Watermark?, isRepair: Bool) -> HubOrder? {
        guard let session = database.sessions[id] else { return nil }
        if mischief(0.05) { return .prepared(id, store, .failed("a test"), nil) }
        var from: Watermark?
        if let base, !isRepair, let known = database.sessions[base.session] {
            if known.version > session.version, known.status != .started {
                return .prepared(id, store, .covered("newer"), nil)
            }
            from = base
        }
        let rows = headquarters.rows(of: session.job, at: session.version)
        if let from, headquarters.rows(of: session.job, at: from.version) == rows {
            return .prepared(id, store, .covered("all of it"), nil)
        }
        let package = seal(session, bases: from.map { [$0] } ?? [])
        return .prepared(id, store, .package(package.ref), package)
    }

    private func seal(_ session: HubDatabase.Session, bases: [Watermark]) -> HubDatabase.Package {
        packagesMade += 1
        var name = [UInt8](repeating: 0, count: 32)
        for (place, shift) in [24, 16, 8, 0].enumerated() { name[place] = UInt8(packagesMade >> shift & 255) }
        guard let id = PackageID(name), let rows = headquarters.rows(of: session.job, at: session.version) else {
            preconditionFailure("a version that headquarters never had")
        }
        rowsOf[id] = rows
        let chunks = Int(chance.number(1...5))
        let shape = TableShape(name: "t", columns: [ColumnShape("id", .integer)], key: ["id"])
        let manifest = Manifest(
            job: session.job, session: session.id, version: session.version, kind: bases.isEmpty ? .full : .delta,
            bases: bases, tables: [PackageTable(shape: shape, rows: 1, removed: 0)],
            created: Timestamp(milliseconds: now), id: id, bytes: Int64(chunks * 100), chunkBytes: 100,
            chunkHashes: (0..<chunks).map { _ in id }, rawSHA256: id, rawBytes: 1)
        let (bytes, signature) = signed(manifest)
        let ref = PackageRef(id: id, kind: manifest.kind, bases: bases, rows: 1, bytes: manifest.bytes)
        return HubDatabase.Package(ref: ref, signedBytes: bytes, signature: signature)
    }

    private func signed(_ manifest: Manifest) -> ([UInt8], [UInt8]) {
        guard let bytes = try? manifest.encoded(), let signature = try? Conversation.signingKey.sign(manifest: bytes)
        else { preconditionFailure("a manifest that cannot be signed") }
        return (bytes, signature)
    }
}
