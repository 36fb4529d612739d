import WaybillModel

/// Quarantine on the wire: lists, orders, and what refers to what.
extension WireQuarantine {
    init(_ report: QuarantineReport) {
        self.init()
        revision = report.revision
        total = Int64(report.total)
        entries = report.entries.prefix(QuarantineLimits.entriesMax).map(WireQuarantineEntry.init)
        ordersDone = report.ordersDone.suffix(QuarantineLimits.ordersRemembered)
    }
}

extension QuarantineReport {
    /// Reads a list as a careful hub does: what it cannot show it leaves out, and what is too long it cuts.
    init(checking wire: WireQuarantine) throws(LetterFault) {
        guard wire.entries.count <= QuarantineLimits.entriesMax,
            wire.ordersDone.count <= QuarantineLimits.ordersRemembered
        else { throw LetterFault("a quarantine of too many entries in one message") }
        var entries: [QuarantineEntry] = []
        // A kind of a newer agent is counted in the total, and not shown.
        for entry in wire.entries {
            if let checked = try QuarantineEntry(checking: entry) { entries.append(checked) }
        }
        self.init(
            revision: wire.revision, total: max(entries.count, Int(clamping: wire.total)), entries: entries,
            ordersDone: wire.ordersDone.map { String(plainText($0).prefix(Limits.nameBytesMax)) })
    }
}

extension WireQuarantineEntry {
    init(_ entry: QuarantineEntry) {
        self.init()
        job = entry.job.rawValue
        table = entry.table
        key = entry.key
        kind =
            switch entry.kind {
            case .refused: .refused
            case .depends: .depends
            case .kept: .kept
            }
        detail = entry.detail
        hasOlderRow_p = entry.hasOlderRow
        session = entry.session.rawValue
        version.epoch = entry.version.epoch
        version.number = entry.version.number
        since = entry.since.milliseconds
        attempts = Int32(clamping: entry.attempts)
    }
}

extension QuarantineEntry {
    /// nil for a kind that is not known here.
    init?(checking wire: WireQuarantineEntry) throws(LetterFault) {
        guard let job = JobID(wire.job) else { throw LetterFault("the job of a row in quarantine is not a name") }
        guard TableShape.isPlainName(wire.table) else {
            throw LetterFault("the table of a row in quarantine is not a name")
        }
        let kind: QuarantineKind
        switch wire.kind {
        case .refused: kind = .refused
        case .depends: kind = .depends
        case .kept: kind = .kept
        case .unspecified, .UNRECOGNIZED: return nil
        }
        self.init(
            job: job, table: wire.table, key: cut(plainText(wire.key), QuarantineLimits.keyBytesMax), kind: kind,
            detail: cut(plainText(wire.detail), QuarantineLimits.detailBytesMax), hasOlderRow: wire.hasOlderRow_p,
            session: try checkedSession(wire.session),
            version: Version(epoch: wire.version.epoch, number: wire.version.number),
            since: Timestamp(milliseconds: wire.since), attempts: max(0, Int(wire.attempts)))
    }
}

private func cut(_ text: String, _ bytesMax: Int) -> String {
    var text = text
    while text.utf8.count > bytesMax { text.removeLast() }
    return text
}

extension WireQuarantineOrder {
    /// - Parameter order: nil asks for the list only.
    init(_ order: QuarantineOrder?) {
        self.init()
        guard let order else { return }
        id = order.id
        action =
            switch order.action {
            case .retry: .retry
            case .drop: .drop
            }
        job = order.job?.rawValue ?? ""
        table = order.table ?? ""
        key = order.key ?? ""
    }
}

extension QuarantineOrder {
    /// nil when only the list is asked for.
    init?(checking wire: WireQuarantineOrder) throws(LetterFault) {
        guard !wire.id.isEmpty else { return nil }
        guard wire.id.utf8.count <= Limits.nameBytesMax else { throw LetterFault("an order's id is too long") }
        let action: Action
        switch wire.action {
        case .retry: action = .retry
        case .drop: action = .drop
        // Of a newer hub: it sees by the list that nothing was done.
        case .unspecified, .UNRECOGNIZED: return nil
        }
        var job: JobID?
        if !wire.job.isEmpty {
            guard let named = JobID(wire.job) else { throw LetterFault("an order's job is not a name") }
            job = named
        }
        self.init(
            id: wire.id, action: action, job: job, table: wire.table.isEmpty ? nil : wire.table,
            key: wire.key.isEmpty ? nil : wire.key)
    }
}

extension WireReference {
    init(_ reference: (key: String, value: String)) {
        self.init()
        column = reference.key
        table = reference.value
    }
}

extension PackageTable {
    /// By column. What names no table or column is a fault: identifiers of SQL are made of it.
    static func references(checking wire: WireTable, of shape: TableShape) throws(ManifestFault) -> [String: String] {
        guard wire.references.count <= Limits.columnsMax else {
            throw ManifestFault("table \(wire.name) refers to too many tables")
        }
        var references: [String: String] = [:]
        for reference in wire.references {
            guard shape.columns.contains(where: { $0.name == reference.column }),
                TableShape.isPlainName(reference.table)
            else { throw ManifestFault("table \(wire.name) refers to '\(reference.table)' by no column of its own") }
            references[reference.column] = reference.table
        }
        return references
    }
}
