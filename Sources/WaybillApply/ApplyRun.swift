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
    var manifest: Manifest { order.manifest }

    func run() throws -> ApplyResult {
        // Only the life that was given leave may use it.
        let life = try StoreSchema.incarnation(in: db)
        if let answer = try answerWithoutRows(life: life) { return answer }
        var preparation = TablePreparation(db: db, manifest: manifest, shadows: shadows, budget: budget)
        var changes: [TableChange] = []
        for table in manifest.tables { changes.append(try preparation.prepare(table)) }
        guard !order.shouldStop() else { throw ApplyFault.canceled }
        return try commit(changes, life: life)
    }

    /// Looks before the work begins; the last transaction looks again.
    private func answerWithoutRows(life: Incarnation) throws -> ApplyResult? {
        var answer: ApplyResult?
        var isPromised = false
        try LockTimer.transaction(db) {
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
            watermark: watermark, in: db)
        return ApplyResult(rowsChanged: 0, longestLockMilliseconds: 0, watermark: watermark, wasApplied: true)
    }

    // MARK: the last transaction

    private func commit(_ changes: [TableChange], life: Incarnation) throws -> ApplyResult {
        // Tills' views, triggers and foreign keys shall keep pointing at the name, not follow the old table.
        try db.execute(sql: "PRAGMA legacy_alter_table = ON")
        defer { try? db.execute(sql: "PRAGMA legacy_alter_table = OFF") }
        var result: ApplyResult?
        let held = try LockTimer.transaction(db) {
            if let known = try appliedBefore(life: life) {
                result = try reportAgain(known)
                return
            }
            var rowsChanged: Int64 = 0
            var notes: [String] = []
            for change in changes {
                let written = try change.write(in: db, shadows: shadows)
                rowsChanged += written.rows
                notes += written.notes
            }
            result = try save(rowsChanged: rowsChanged, message: notes.joined(separator: "; "))
            CrashPoint.beforeCommit.pass()
        }
        guard var result else { throw ApplyFault.failed("the apply came to no end") }
        if !result.wasApplied { result.longestLockMilliseconds = max(result.longestLockMilliseconds, held) }
        return result
    }

    /// Everything that must be true together with the rows.
    private func save(rowsChanged: Int64, message: String) throws -> ApplyResult {
        let at = order.at()
        let message = StoreSchema.reportText(message)
        let watermark = Watermark(version: manifest.version, session: manifest.session)
        for table in manifest.tables { try StoreSchema.own(table.shape, job: manifest.job, in: db) }
        try StoreSchema.set(watermark, of: manifest.job, at: at, in: db)
        // Our own lock ends after this is written: it tells the longest before, and what it took itself until here.
        // The commit that follows is one sync of the log.
        let longestLock = max(shadows.longestLock, LockTimer.elapsedMilliseconds())
        try StoreSchema.save(
            StoreSchema.Outcome(
                isApplied: true, at: at, rowsChanged: rowsChanged, longestLockMilliseconds: longestLock,
                message: message),
            of: manifest.session, run: order.run, job: manifest.job, in: db)
        _ = try StoreSchema.report(
            session: manifest.session, job: manifest.job, run: order.run, attempt: order.attempt, outcome: .applied,
            at: at, rowsChanged: rowsChanged, longestLockMilliseconds: longestLock, message: message,
            watermark: watermark, in: db)
        return ApplyResult(
            rowsChanged: rowsChanged, longestLockMilliseconds: longestLock, watermark: watermark, wasApplied: false,
            message: message)
    }
}
