import Foundation
import Synchronization
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// Imports files as they are dropped into a folder, and files them.
///
/// What is imported is remembered by the hub until the file was moved away, so a file that still lies in the folder
/// after anybody's death is filed, and not imported again.
struct ImportWatch {
    /// Milliseconds between two looks: well under the time a file must rest.
    private static let lookMilliseconds = 300
    /// Milliseconds to wait for a hub that is away or has no room: first, and at most.
    private static let patience = 1_000...30_000

    let folder: String
    let hub: HubOption
    let request: ImportRequest
    let settleMilliseconds: Int64
    let printsJSON: Bool

    /// Returns once the process is told to end, between two imports.
    func run() async throws {
        let files = try WatchFiles(folder: folder)
        let stop = StopFlag()
        let signals = StopSignals(stop)
        defer { withExtendedLifetime(signals) {} }
        var watched = WatchedFolder(settleMilliseconds: settleMilliseconds)
        var request = request
        request.watch = files.path
        var wait = ImportWatch.patience.lowerBound
        var isSettled = false
        var lastTrouble: String?
        Output.note("watching \(files.path)")
        while !stop.isSet {
            do {
                if !isSettled {
                    try await settleEarlier(files)
                    isSettled = true
                }
                let complete = watched.look(try files.entries(), now: Output.now)
                let worked = try await takeOver(complete, files, request, stop)
                if lastTrouble != nil { Output.note("going on") }
                (wait, lastTrouble) = (ImportWatch.patience.lowerBound, nil)
                if !worked { await stop.sleep(milliseconds: ImportWatch.lookMilliseconds) }
            } catch let complaint as Complaint {
                // Nothing is wrong with the files: they wait where they are.
                if lastTrouble != complaint.message { Output.note("waiting: \(complaint.message)") }
                lastTrouble = complaint.message
                await stop.sleep(milliseconds: wait)
                wait = min(2 * wait, ImportWatch.patience.upperBound)
            }
        }
        Output.note("stopped watching \(files.path)")
    }

    /// Says of files that an earlier watcher has moved away that they are; it may have died before it could.
    private func settleEarlier(_ files: WatchFiles) async throws {
        try await hub.connected { client in
            let unfiled = try await client.get([UnfiledFile].self, APIPath("unfiled").with("watch", files.path))
            for file in unfiled where !files.isThere(file.file) {
                try await client.tell("staging/\(file.import)/filed", FiledRequest(files: [file.file]))
            }
        }
    }

    /// One import of files that belong together. Returns whether there was anything to do.
    private func takeOver(
        _ complete: [String], _ files: WatchFiles, _ request: ImportRequest, _ stop: StopFlag
    ) async throws -> Bool {
        guard !complete.isEmpty else { return false }
        return try await hub.connected { client in
            let known = try await ImportNames(client)
            let upload = ImportUpload(client: client, request: request, showsProgress: false)
            // What is neither a CSV file nor anybody's by its name is not ours.
            let ours = complete.filter { $0.hasSuffix(".csv") || known.isImportable($0) }
            let round = WatchRound.next(
                ours.map { WatchRound.File(name: $0, table: known.table(of: $0)) }, tables: known.tables)
            guard !round.isEmpty else { return false }
            if round.count > 1, let reply = try await together(round.map(\.name), files, upload) {
                for file in round { try await fileAway(ImportFiling(file.name, of: reply, at: now), files, client) }
                return true
            }
            // One by one, parents first: one bad file does not hold up the others.
            for file in round where !stop.isSet {
                try await fileAway(try await alone(file.name, files, upload), files, client)
            }
            return true
        }
    }

    private var now: UTCTime { UTCTime(Output.now) }

    /// nil when something is wrong with the files: then nothing was imported.
    private func together(_ names: [String], _ files: WatchFiles, _ upload: ImportUpload) async throws -> ImportReply? {
        guard names.allSatisfy(WatchFiles.isPlain) else { return nil }
        switch try await work(names, files, upload) {
        case .result(let reply): return reply
        default: return nil
        }
    }

    private func alone(_ name: String, _ files: WatchFiles, _ upload: ImportUpload) async throws -> ImportFiling {
        guard WatchFiles.isPlain(name) else {
            return ImportFiling(
                file: name, outcome: .failed, at: now,
                message: "not imported: a file's name has letters, digits, dots, dashes and underscores")
        }
        switch try await work([name], files, upload) {
        case .result(let reply): return ImportFiling(name, of: reply, at: now)
        case .rejected(let faults): return ImportFiling(name, refused: faults, at: now)
        case .error(let error):
            return ImportFiling(file: name, outcome: .failed, at: now, message: "not imported: \(error.message)")
        }
    }

    private enum Answer {
        case result(ImportReply)
        case rejected(ImportFaults)
        /// The same files will never be taken.
        case error(AdminError)
    }

    /// - Throws: ``Complaint`` when the files are not to blame.
    private func work(_ names: [String], _ files: WatchFiles, _ upload: ImportUpload) async throws -> Answer {
        var block = LiveBlock()
        do {
            switch try await upload.work("run", names.map(files.source), &block) {
            case .result(let reply): return .result(reply)
            case .rejected(let faults): return .rejected(faults)
            case .error(let error) where error.code.isForGood: return .error(error)
            case .error(let error): throw Complaint(error.message)
            case .progress, .preview, nil: throw Complaint("the hub broke off")
            }
        } catch let complaint as Complaint {
            guard let code = complaint.code, code.isForGood else { throw complaint }
            return .error(AdminError(code, complaint.message))
        }
    }

    /// Report, then the move, then the word to the hub: whoever dies in between, the next one knows what is left.
    private func fileAway(_ filing: ImportFiling, _ files: WatchFiles, _ client: AdminClient) async throws {
        try files.put(filing)
        if filing.outcome == .done, let id = filing.import {
            try await client.tell("staging/\(id)/filed", FiledRequest(files: [filing.file]))
        }
        if printsJSON {
            Output.write(String(decoding: try AdminJSON.encode(filing), as: UTF8.self) + "\n", to: STDOUT_FILENO)
        } else {
            Output.lines([ImportViews.filed(filing)])
        }
    }
}

extension AdminError.Code {
    /// Whether waiting cannot help.
    fileprivate var isForGood: Bool { self == .invalid || self == .tooLarge }
}

/// Whether the process was told to end. The work at hand is ended first.
private final class StopFlag: Sendable {
    private let flag = Atomic(false)

    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }

    /// Ends early when the process is told to end.
    func sleep(milliseconds: Int) async {
        var left = milliseconds
        while left > 0, !isSet {
            let part = min(left, 100)
            try? await Task.sleep(for: .milliseconds(part))
            left -= part
        }
    }
}

/// SIGTERM and SIGINT set the flag, as long as this value lives.
private final class StopSignals {
    private let sources: [any DispatchSourceSignal]

    init(_ flag: StopFlag) {
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { flag.set() }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
