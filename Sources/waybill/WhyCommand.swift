import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Why a store has a row in one of its tables, or has not.",
        discussion: """
            For a row that is there: which session brought it, by which rule, and from which rows of HQ's tables. For \
            one that is not: whether it is on its way, comes with the next run, or by which rule the store does not \
            get it. The answer is what HQ knows of the store, with HQ's tables as they are now.

            KEY is a value of the table's key. A key of several columns is given with commas, as several --key, or as \
            column=value; when only a part is given, up to 20 rows are told. (A value that holds a comma is given \
            beside others as a --key of its own.)

            The exit status is 0 also when the row is not there: that is an answer. It is 1 for a store or a table \
            that does not exist and for a key that does not fit.

            EXAMPLES
              waybill why --store S042 --table product --key TEA-ASSAM
              waybill why --store S042 --table assorted_product --key TEA-ASSAM,2026-03-01
              waybill why --store S042 --table trade_agreement --key line_id=L0003 --json
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Option(help: ArgumentHelp("The store.", valueName: "id"))
    var store: StoreID
    @Option(help: ArgumentHelp("The store table; 'waybill job list' names them.", valueName: "table"))
    var table: String
    @Option(help: ArgumentHelp("Values of the table's key, or of some of its columns.", valueName: "key"))
    var key: [String]

    func run() async throws {
        var path: APIPath = "why"
        path = path.with("store", store.rawValue).with("table", table)
        for value in key { path = path.with("key", value) }
        let question = path
        let reply = try await hub.connected { try await $0.get(WhyReply.self, question) }
        if output.json { return try Output.json(reply) }
        Output.lines(WhyViews.lines(reply, now: Output.now, Output.screen))
    }
}
