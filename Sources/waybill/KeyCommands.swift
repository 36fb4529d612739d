import ArgumentParser
import WaybillAdmin
import WaybillConsole
import WaybillModel

struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "The hub's own keys: see them, announce new ones, take them.",
        discussion: """
            Two steps, so that no store is cut off: 'rotate' makes new keys and tells every store of them; 'switch', \
            once all know them, takes them in place of the old ones. Sessions go on all the time.

            EXAMPLE
              waybill key rotate && waybill key status
              waybill key switch
            """,
        subcommands: [KeyStatusCommand.self, KeyRotateCommand.self, KeySwitchCommand.self])

    @OptionGroup var hub: HubOption
}

struct KeyStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Which keys there are, and which stores do not know the next ones.",
        discussion: """
            EXAMPLES
              waybill key status
              waybill key status --json | jq -r '.next.unaware_stores[]'
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let status = try await hub.connected { try await $0.get(KeyStatus.self, "keys") }
        if output.json { return try Output.json(status) }
        Output.lines(KeyViews.status(status, now: Output.now, Output.screen))
    }
}

struct KeyRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Make the hub's next keys and announce them to the stores.",
        discussion: """
            Both keys, that of the connection and that which signs packages. Each store learns of them when it is heard \
            next, and keeps them; nothing else changes yet. Repeating it changes nothing.

            EXAMPLE
              waybill key rotate
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption

    func run() async throws {
        let status = try await hub.connected { try await $0.post(KeyStatus.self, "keys/announce") }
        if output.json { return try Output.json(status) }
        Output.lines(KeyViews.status(status, now: Output.now, Output.screen))
    }
}

struct KeySwitchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switch", abstract: "Take the announced keys in place of the present ones.",
        discussion: """
            The hub closes its ports for a moment and opens them with the new keys; the stores follow within seconds. \
            There is no way back but another rotation. It is refused while a store does not know the keys; with \
            --anyway such a store must enrol anew, and the exit status is 3. Codes that were not used yet are void.

            EXAMPLE
              waybill key switch
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Flag(help: "Also if there are stores that do not know the next keys; they must enrol anew.")
    var anyway = false

    func run() async throws {
        let reply = try await hub.connected {
            try await $0.post(KeySwitchReply.self, "keys/switch", KeySwitchRequest(anyway: anyway))
        }
        if output.json { try Output.json(reply) } else { Output.lines(KeyViews.switched(reply, Output.screen)) }
        if !reply.unawareStores.isEmpty { throw ExitCode(Complaint.someStoresMissing) }
    }
}

struct StoreRotateKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-key", abstract: "Have stores replace their keys, without an interruption.",
        discussion: """
            A store makes a new key when it is heard next and goes over to it by itself. The old key stays good for a \
            while (old_key_hours in hub.yaml), with --now it ends as soon as the new one is used. See 'waybill key \
            status'. A key that somebody else may have is not to be replaced this way, for he could do the same: \
            retire the store, or print a new code for it.

            The exit status is 3 when a store has no key to replace.

            EXAMPLES
              waybill store rotate-key S042
              waybill store rotate-key --all
            """)

    @OptionGroup var hub: HubOption
    @OptionGroup var output: JSONOption
    @Argument(help: "The stores' ids.")
    var stores: [StoreID] = []
    @Flag(help: "Every store that has enrolled.")
    var all = false
    @Flag(help: "The old key ends as soon as the new one is used.")
    var now = false

    func validate() throws {
        if stores.isEmpty != all { throw ValidationError("Name stores, or say --all.") }
    }

    func run() async throws {
        let reply = try await hub.connected {
            try await $0.post(StoreKeyReply.self, "keys/stores", StoreKeyRequest(stores: stores, now: now))
        }
        if output.json { try Output.json(reply) } else { Output.lines(KeyViews.renewed(reply, Output.screen)) }
        if reply.stores.contains(where: { !$0.accepted }) { throw ExitCode(Complaint.someStoresMissing) }
    }
}
