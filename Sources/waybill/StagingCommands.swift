import ArgumentParser
import WaybillAdmin
import WaybillConsole

struct StagingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "staging", abstract: "What imports have read: files, rows, and what was wrong with them.",
        discussion: """
            Every import writes down the rows of its files before HQ gets any of them. A row is NotStarted, has an \
            Error, or is Finished: then HQ has it.
            """,
        subcommands: [StagingListCommand.self, StagingShowCommand.self, StagingCleanCommand.self])
}

struct StagingListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Imports, newest first.",
        discussion: """
            EXAMPLE
              waybill staging list --limit 10
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: "How many.")
    var limit = 50

    func validate() throws { try checkLimit(limit) }

    func run() async throws {
        let imports = try await hub.connected {
            try await $0.get([StagedImportSummary].self, APIPath("staging").with("limit", String(limit)))
        }
        if output.json { return try Output.json(imports) }
        Output.lines(ImportViews.staged(imports, now: Output.now, Output.screen))
    }
}

struct StagingShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "An import, its files, and rows of them: the bad ones first.",
        discussion: """
            EXAMPLES
              waybill staging show 7
              waybill staging show 7 --state Error --table product --limit 1000
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The import's number.")
    var id: Int64
    @Option(help: "Only rows in this state: NotStarted, Error or Finished.")
    var state: String?
    @Option(help: "Only rows for this table.")
    var table: String?
    @Option(help: "How many rows.")
    var limit = 20

    func validate() throws {
        try checkLimit(limit)
        if let state, !StagedRowLine.states.contains(state) {
            throw ValidationError("--state takes \(StagedRowLine.states.joined(separator: ", ")), not '\(state)'.")
        }
    }

    func run() async throws {
        let path = APIPath("staging/\(id)").with("state", state).with("table", table).with("limit", String(limit))
        let detail = try await hub.connected { try await $0.get(StagedImportDetail.self, path) }
        if output.json { return try Output.json(detail) }
        Output.lines(ImportViews.staged(detail, now: Output.now, Output.screen))
    }
}

struct StagingCleanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clean", abstract: "Remove staged rows that HQ has, and give their disk space back.",
        discussion: """
            Rows that are not finished stay: those with an error, and those of imports that were refused or failed. \
            --force removes them as well. Rows of running imports stay in any case.

            EXAMPLES
              waybill staging clean
              waybill staging clean --table product
              waybill staging clean --import 7 --force
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: "Only rows for this table.")
    var table: String?
    @Option(help: ArgumentHelp("Only rows of this import.", valueName: "id"))
    var `import`: Int64?
    @Flag(help: "Unfinished rows as well.")
    var force = false

    func run() async throws {
        let request = StagingCleanRequest(table: table, import: `import`, force: force)
        // Removed in small slices, so that nobody who imports meanwhile waits long: that takes the time it takes.
        let reply = try await hub.connected {
            try await $0.post(StagingCleanReply.self, "staging/clean", request, seconds: nil)
        }
        if output.json { return try Output.json(reply) }
        Output.lines(ImportViews.cleaned(reply, force: force))
    }
}

private func checkLimit(_ limit: Int) throws {
    guard (1...StagedRowFilter.limitMax).contains(limit) else {
        throw ValidationError("--limit takes a number from 1 to \(StagedRowFilter.limitMax).")
    }
}

struct MappingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mapping", abstract: "How files of other programs become rows of HQ's tables.",
        discussion: """
            A mapping is a file HOME/mappings/NAME.yaml on the hub's machine:

              files: "ARTPREIS_*.txt"          names of files; a list, or one with * ? [...]
              table: product_release           the table of HQ that they fill
              separator: ";"                   between fields: "," ";" "|" or tab
              numbers: { decimal: ",", thousands: "." }
              dates: dd.MM.yyyy
              columns:                         columns of the table: where their values come from
                product_id: ARTNR              the file's column
                legal_entity_id: { constant: DE01 }
                base_price: { from: PREIS }
                stopped: { from: GESPERRT, values: { J: 1, N: 0 }, otherwise: 0 }
              skip: [LAGER, BEMERKUNG]         columns of the file that nobody wants; "*": all that are not named

            A value can also be found in another table of HQ:

                category_id: { from: WGR, lookup: { table: category, match: name, take: category_id } }

            It is read anew for each import.
            """,
        subcommands: [MappingListCommand.self])
}

struct MappingListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The mappings, and what is wrong with those that cannot be used.",
        discussion: """
            The exit status is 1 when one cannot be used.

            EXAMPLE
              waybill mapping list
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let mappings = try await hub.connected { try await $0.get([MappingSummary].self, "mappings") }
        if output.json {
            try Output.json(mappings)
        } else {
            Output.lines(ImportViews.mappings(mappings, Output.screen))
        }
        let broken = mappings.filter { !$0.faults.isEmpty }
        for mapping in broken {
            for line in HubViews.faults(mapping.faults, total: mapping.faults.count) { Output.note(line) }
        }
        guard broken.isEmpty else {
            throw Complaint("\(Humane.count(broken.count, "mapping")) cannot be used")
        }
    }
}
