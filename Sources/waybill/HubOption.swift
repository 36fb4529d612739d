import ArgumentParser
import Foundation

struct HubOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The hub's home folder, or the address of one that is reached by TCP. Default: $WAYBILL_HOME.",
            valueName: "home"))
    var hub: String?
    @Option(help: ArgumentHelp("A file with the token for TCP. Default: $WAYBILL_TOKEN_FILE, $WAYBILL_TOKEN."))
    var tokenFile: String?

    /// Runs `body` with a connection to the hub.
    func connected<Result>(_ body: (AdminClient) async throws -> Result) async throws -> Result {
        let client = try AdminClient(home: try home(), token: try RemoteHub.token(file: tokenFile))
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    private func home() throws -> String {
        let named = hub ?? ProcessInfo.processInfo.environment["WAYBILL_HOME"] ?? ""
        guard !named.isEmpty else {
            throw Complaint("which hub? Name its home with --hub HOME or in $WAYBILL_HOME", status: 64)
        }
        return named
    }
}

struct JSONOption: ParsableArguments {
    @Flag(help: "Print one JSON document, for scripts.")
    var json = false
}
