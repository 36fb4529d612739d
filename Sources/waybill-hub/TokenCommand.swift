import ArgumentParser
import Foundation
import WaybillHub

extension HubCommand {
    struct Token: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "token", abstract: "Make, list or take away tokens with which administrators come by TCP.",
            discussion: """
                TCP is off unless hub.yaml has admin_listen. The token is printed once; the hub keeps its SHA-256 in \
                HOME/admin-tokens and looks there at each request: what is taken away is no good from then on.

                EXAMPLES
                  waybill-hub token /var/lib/waybill-hub ci > ci.token
                  waybill --hub https://hub.example.com --token-file ci.token status
                  waybill-hub token /var/lib/waybill-hub ci --revoke
                """)

        @Argument(help: "The hub's home folder.")
        var home: String
        @Argument(help: "What the token is called, in the audit log too. Left out: the names there are.")
        var name: String?
        @Flag(help: "Take the token away.")
        var revoke = false

        func validate() throws {
            if revoke, name == nil { throw ValidationError("--revoke needs the name of a token.") }
        }

        func run() throws {
            restrictNewFiles()
            try onePlainSentence {
                let home = try HubHome(existing: home)
                guard let name else { return try AdminTokens(reading: home.adminTokens).names.forEach { print($0) } }
                if revoke { return try AdminTokens.revoke(name, in: home) }
                print(try AdminTokens.make(name, in: home))
            }
        }
    }
}
