import GRDB
import WaybillDatabase
import WaybillModel
import WaybillPackage
import WaybillWire

/// One apply, from the look at each table to the last transaction.
struct ApplyRun {
    let db: Database
    let order: Applier.Order
    let shadows: Shadows
    let budget: LockBudget
    /// Looks out for others while the last transaction takes longer than they should wait; nil: they may be there.
    let watch: NeighbourWatch?
    var manifest: Manifest { order.manifest }

    func run() throws -> ApplyResult {
        // Only the life that was given leave may use it.
        let life = try StoreSchema.incarnation(in: db)
        if let answer = try answerWithoutRows(life: life) { return answer }
        var preparation = TablePreparation(db: db, manifest: manifest, shadows: shadows, budget: budget)
        var changes: [TableChange] = []
        for table in manifest.tables { changes.append(try preparation.prepare(table)) }
        guard !order.shouldStop() else { throw ApplyFault.canceled }
        return try commit(changes, life: life, preparation.budget.isUsedBeyondOrdinary ? watch : nil)
    }

    /// Looks before the work begins; the last transaction looks again.
    private func answerWithoutRows(life: Incarnation) throws -> ApplyResult? {
        var answer: ApplyResult?
        var isPromised = false
        try LockTimer.transaction(db) { _ in
            let outcome = try StoreSchema.outcome(of: manifest.session, run: order.run, in: db)
            if let outcome, !outcome.isApplied {
                // The hub offers it, so it does not know of the promise: without an answer it would offer it for ever.
                isPromised = true
                _ = try StoreSchema.report(
                    session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt,
                    outcome: .canceled, at: outcome.at, in: db)
                return
            }
            if let watermark = try appliedBefore(life: life) { answer = try reportAgain(watermark) }
        }
        if isPromised { throw ApplyFault.canceled }
        return answer
    }

    /// May this package be applied, here and now? Inside a transaction.
    /// - Returns: nil when it may; where the store stands when it was applied before (and the report may be lost).
    private func appliedBefore(life: Incarnation) throws -> Watermark? {
        guard try StoreSchema.incarnation(in: db) == life else { throw ApplyFault.anotherLife }
        let outcome = try StoreSchema.outcome(of: manifest.session, run: order.run, in: db)
        if outcome?.isApplied == false { throw ApplyFault.canceled }
        let watermark = try StoreSchema.watermark(of: manifest.job, in: db)
        // Also when newer sessions have come since: an old package must not bring old rows back.
        if outcome != nil, let watermark { return watermark }
        switch manifest.kind {
        case .full:
            // A new run of a full package is a repair: it writes what differs.
            return nil
        case .delta:
            if let watermark, watermark.session == manifest.session { return watermark }
            guard let watermark, manifest.bases.contains(watermark) else { throw ApplyFault.wrongBase }
            return nil
        }
    }

    private func reportAgain(_ watermark: Watermark) throws -> ApplyResult {
        let known = try StoreSchema.appliedOutcome(of: manifest.session, run: order.run, job: manifest.job, in: db)
        _ = try StoreSchema.report(
            session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt, outcome: .applied,
            at: known?.at ?? order.at(), rowsChanged: known?.rowsChanged ?? 0,
            longestLockMilliseconds: known?.longestLockMilliseconds ?? 0, message: known?.message ?? "",
            watermark: watermark, exceptions: known?.exceptions ?? 0, in: db)
        return ApplyResult(rowsChanged: 0, longestLockMilliseconds: 0, watermark: watermark, wasApplied: true)
    }

    // MARK: the last transaction

    private func commit(
        _ changes: [TableChange], life: Incarnation, _ watch: NeighbourWatch?
    ) throws -> ApplyResult {
        let endings = Endings()
        var sifted: [String: WriteResult] = [:]
        var heldBefore: Int64 = 0
        while true {
            do {
                func commit() throws -> ApplyResult {
                    try self.commit(changes, life: life, endings, sifted, heldBefore: &heldBefore)
                }
                return try watch?.during(commit) ?? commit()
            } catch let ending as TransactionEnded {
                try endings.note(ending)
            } catch let ending as SecondTryEnded {
                try endings.note(ending)
            } catch let refused as IndexRefused {
                let table = refused.shape.name
                guard sifted[table] == nil else { throw ApplyFault.rowDoesNotFit(table: table, detail: refused.words) }
                sifted[table] = try UniqueSieve(db: db, shape: refused.shape, shadows: shadows).run(refused)
            }
            // A till may have its turn before all is tried again.
            guard !order.shouldStop() else { throw ApplyFault.canceled }
        }
    }

    private func commit(
        _ changes: [TableChange], life: Incarnation, _ endings: Endings, _ sifted: [String: WriteResult],
        heldBefore: inout Int64
    ) throws -> ApplyResult {
        // Tills' views, triggers and foreign keys shall keep pointing at the name, not follow the old table.
        try db.execute(sql: "PRAGMA legacy_alter_table = ON")
        defer { try? db.execute(sql: "PRAGMA legacy_alter_table = OFF") }
        var result: ApplyResult?
        let held = try LockTimer.transaction(db) { lock in
            defer { heldBefore = max(heldBefore, lock.held.milliseconds) }
            if let known = try appliedBefore(life: life) {
                result = try reportAgain(known)
                return
            }
            var quarantine = Quarantine(db: db, manifest: manifest, at: order.at())
            let sumBefore = try QuarantineSum(in: db)
            var notes = try quarantine.begin()
            var rowsChanged: Int64 = 0
            var written: [Dependants.Written] = []
            for change in changes {
                written.append(try change.written(quarantine))
                let (result, itsNotes) = try change.write(
                    in: db, shadows: shadows, endings: endings, sifted: sifted[change.shape.name])
                rowsChanged += result.changed
                notes += itsNotes
                try quarantine.note(result, of: change.shape)
            }
            rowsChanged -= try quarantine.noteDependants(of: written)
            rowsChanged += try quarantine.clear(skipping: endings.entries)
            let (exceptions, message) = try quarantine.summary()
            // First of all: the others are about objects, this one is about goods.
            if let message { notes.insert(message, at: 0) }
            result = try save(
                rowsChanged: max(0, rowsChanged), message: notes.joined(separator: "; "), exceptions: exceptions,
                heldBefore: heldBefore, lock)
            if try QuarantineSum(in: db) != sumBefore { try QuarantineSchema.change(in: db) }
            CrashPoint.beforeCommit.pass()
        }
        guard var result else { throw ApplyFault.failed("the apply came to no end") }
        if !result.wasApplied {
            result.longestLockMilliseconds = max(result.longestLockMilliseconds, held.milliseconds)
        }
        return result
    }

    /// Everything that must be true together with the rows.
    private func save(
        rowsChanged: Int64, message: String, exceptions: Int, heldBefore: Int64, _ lock: LockTimer.Lock
    ) throws -> ApplyResult {
        let at = order.at()
        let message = StoreSchema.reportText(message)
        let watermark = Watermark(version: manifest.version, session: manifest.session)
        for table in manifest.tables { try StoreSchema.own(table.shape, job: manifest.job, in: db) }
        try StoreSchema.set(watermark, of: manifest.job, at: at, in: db)
        // Our own lock ends after this is written: it tells the longest before, and what it took itself until here.
        // The commit that follows is one sync of the log.
        let longestLock = max(shadows.longestLock, heldBefore, lock.held.milliseconds)
        try StoreSchema.save(
            StoreSchema.Outcome(
                isApplied: true, at: at, rowsChanged: rowsChanged, longestLockMilliseconds: longestLock,
                message: message, exceptions: exceptions),
            of: manifest.session, run: order.run, job: manifest.job, in: db)
        _ = try StoreSchema.report(
            session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt, outcome: .applied,
            at: at, rowsChanged: rowsChanged, longestLockMilliseconds: longestLock, message: message,
            watermark: watermark, exceptions: exceptions, in: db)
        return ApplyResult(
            rowsChanged: rowsChanged, longestLockMilliseconds: longestLock, watermark: watermark, wasApplied: false,
            message: message, exceptions: exceptions)
    }
}
