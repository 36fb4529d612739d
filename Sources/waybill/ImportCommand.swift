import ArgumentParser
import Foundation
import WaybillAdmin
import WaybillConsole

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read CSV files into HQ's tables: all of them, or nothing.",
        discussion: """
            A file fills the table that it is named after: product.csv fills product. A folder stands for the CSV \
            files in it. The first line names the columns. Rows are added and changed; with --replace, rows that are \
            not in the file are removed as well.

            When anything is wrong, nothing is imported, and every bad row is named on stderr: file, line, column, \
            reason. The stores get the changes when the jobs run next: see waybill publish.

            EXAMPLES
              waybill import product.csv price_adjustment.csv
              waybill import /data/export --replace
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "CSV files, or folders of them.", completion: .file(extensions: ["csv"]))
    var paths: [String]
    @Flag(help: "The files hold the whole of their tables: remove what is not in them.")
    var replace = false

    func run() async throws {
        let named = try ImportFileList.expand(paths)
        let last = try await hub.connected { client in
            let (files, leftOut) = try ImportFileList.split(
                named, tables: try await client.get([String].self, "tables"))
            for file in leftOut { Output.note("warning: \(file.path) is no file of HQ's tables and was left out") }
            let id = try await client.post(ImportCreated.self, "imports").id
            var block = LiveBlock()
            do {
                for file in files { try await upload(file, to: id, client, &block) }
                let line = try await run(id, client, &block)
                block.clear()
                return line
            } catch {
                block.clear()
                // When this fails too, the hub clears up by itself.
                try? await client.delete("imports/\(id)")
                throw error
            }
        }
        try report(last)
    }

    private func upload(_ file: ImportSource, to id: String, _ client: AdminClient, _ block: inout LiveBlock)
        async throws
    {
        let parts = try FileParts(path: file.path)
        let screen = block.screen
        block.show(live: [ProgressViews.upload(file.name, bytes: 0, of: parts.size, screen)], plain: [])
        try await client.put("imports/\(id)/files/\(file.name)", parts, bytes: parts.size)
    }

    /// Runs the import and gives its last line back.
    private func run(_ id: String, _ client: AdminClient, _ block: inout LiveBlock) async throws -> ImportLine? {
        var last: ImportLine?
        let screen = block.screen
        let path = APIPath("imports/\(id)/run").with("replace", replace ? "true" : nil)
        try await client.postForLines(path) { data in
            guard let line = try? AdminJSON.decode(ImportLine.self, from: data) else {
                throw Complaint("the hub's answer cannot be read; are hub and waybill of one release?")
            }
            guard case .progress(let progress) = line else {
                last = line
                return
            }
            block.show(
                live: [ProgressViews.importing(progress, screen)],
                // In a log four lines, not four for each file.
                plain: [progress.phase])
        }
        return last
    }

    private func report(_ last: ImportLine?) throws {
        switch last {
        case .result(let reply):
            for line in HubViews.faults(reply.warnings, total: reply.warningsTotal) { Output.note("warning: \(line)") }
            if output.json { return try Output.json(reply) }
            Output.lines(HubViews.imported(reply, Output.screen))
        case .rejected(let faults):
            if output.json { try Output.json(faults) }
            for line in HubViews.faults(faults.faults, total: faults.total) { Output.note(line) }
            throw Complaint(faults.description)
        case .error(let error): throw Complaint(error.message)
        case .progress, .preview, nil:
            throw Complaint("the hub broke off; see with waybill status whether it is running, then import again")
        }
    }
}
