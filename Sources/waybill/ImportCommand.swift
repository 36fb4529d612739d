import ArgumentParser
import Foundation
import WaybillAdmin
import WaybillConsole

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read CSV files into HQ's tables: all of them, or nothing.",
        discussion: """
            A file fills the table that it is named after: product.csv fills product. Other names, columns and formats \
            need a mapping, see waybill mapping --help. A folder stands for the files in it that fill a table. The \
            first line names the columns. Rows are added and changed; with --replace, rows that are not in the file \
            are removed as well.

            When anything is wrong, nothing is imported, and every bad row is named on stderr: file, line, column, \
            reason. With --skip-bad-rows the other rows are imported, and the exit status is 3. --preview shows what \
            would be done and changes nothing. What was read stays to be looked at: see waybill staging. The stores \
            get the changes when the jobs run next: see waybill publish.

            With --watch, files that are dropped into DIR are imported as they come, each once, and moved to DIR/done \
            or DIR/failed, with a report beside. A file is taken once it was renamed from a temporary name (.tmp, \
            .part, a leading dot) or has rested for --settle seconds. Ends with SIGTERM or Ctrl-C.

            EXAMPLES
              waybill import product.csv price_adjustment.csv
              waybill import /data/export --replace
              waybill import --preview ARTPREIS_0412.txt
              waybill import --skip-bad-rows product.csv
              waybill import --watch /srv/erp/drop
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "CSV files, or folders of them.", completion: .file(extensions: ["csv"]))
    var paths: [String] = []
    @Flag(help: "The files hold the whole of their tables: remove what is not in them.")
    var replace = false
    @Flag(help: "Leave bad rows out, name them, and import the others.")
    var skipBadRows = false
    @Flag(help: "Show what would be done, and change nothing.")
    var preview = false
    @Option(help: ArgumentHelp("Import files as they are dropped into this folder.", valueName: "dir"))
    var watch: String?
    @Option(help: ArgumentHelp("With --watch: seconds a file must have rested.", valueName: "seconds"))
    var settle: Double = 2

    func validate() throws {
        if replace, skipBadRows {
            throw ValidationError(
                "--replace and --skip-bad-rows exclude each other: without its bad rows a file is not the whole table.")
        }
        if watch == nil, paths.isEmpty { throw ValidationError("Name the files to import, or a folder with --watch.") }
        if watch != nil, !paths.isEmpty || preview {
            throw ValidationError("--watch takes neither files nor --preview.")
        }
        guard settle >= 0, settle <= 3600 else { throw ValidationError("--settle takes seconds from 0 to 3600.") }
    }

    private var request: ImportRequest { ImportRequest(replace: replace, skipBadRows: skipBadRows) }

    func run() async throws {
        if let watch {
            return try await ImportWatch(
                folder: watch, hub: hub, request: request, settleMilliseconds: Int64(settle * 1000),
                printsJSON: output.json
            ).run()
        }
        let named = try ImportFileList.expand(paths)
        let last = try await hub.connected { client in
            let known = try await ImportNames(client)
            let (files, leftOut) = try ImportFileList.split(named, known)
            for file in leftOut { Output.note("warning: \(file.path) is no file of HQ's tables and was left out") }
            var block = LiveBlock()
            return try await ImportUpload(client: client, request: request)
                .work(preview ? "preview" : "run", files, &block)
        }
        try report(last)
    }

    private func report(_ last: ImportLine?) throws {
        switch last {
        case .result(let reply):
            note(warnings: reply.warnings, total: reply.warningsTotal)
            if output.json {
                try Output.json(reply)
            } else {
                Output.lines(ImportViews.imported(reply, Output.screen))
            }
            try complain(reply.faults, total: reply.faultsTotal, rows: reply.skipped)
        case .preview(let preview):
            note(warnings: preview.warnings, total: preview.warningsTotal)
            if output.json {
                try Output.json(preview)
            } else if !preview.rejected {
                Output.lines(ImportViews.preview(preview, Output.screen))
            }
            if preview.rejected {
                for line in HubViews.faults(preview.faults, total: preview.faultsTotal) { Output.note(line) }
                throw Complaint(
                    "nothing would be imported: \(Humane.count(preview.faultsTotal, "fault")) in the files")
            }
            let skipped = preview.tables.reduce(0) { $0 + $1.counts.skipped }
            try complain(preview.faults, total: preview.faultsTotal, rows: skipped)
        case .rejected(let faults):
            if output.json { try Output.json(faults) }
            for line in HubViews.faults(faults.faults, total: faults.total) { Output.note(line) }
            throw Complaint(faults.description)
        case .error(let error): throw Complaint(error.message)
        case .progress, nil:
            throw Complaint(
                "the hub broke off; once it is running again, waybill staging list says whether the import was done")
        }
    }

    private func note(warnings: [ImportFaultLine], total: Int) {
        for line in HubViews.faults(warnings, total: total) { Output.note("warning: \(line)") }
    }

    /// Names the bad rows of an import that has gone, or would go, on without them.
    private func complain(_ faults: [ImportFaultLine], total: Int, rows: Int64) throws {
        guard rows > 0 else { return }
        for line in HubViews.faults(faults, total: total) { Output.note(line) }
        let bad = Humane.count(rows, "bad row")
        throw Complaint(
            preview ? "\(bad) would be left out" : "done, but \(bad) \(rows == 1 ? "was" : "were") left out",
            status: Complaint.someRowsLeftOut)
    }
}
