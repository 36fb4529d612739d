import Foundation
import Testing

/// A set of HQ tables together with what two other databases and a third program made of them by the same rules.
struct GoldenSet: CustomTestStringConvertible {
    let name: String
    let folder: String

    var testDescription: String { name }
    var input: String { folder + "/input" }

    /// Records of an expected file.
    func expected(_ file: String) throws -> [[String?]] { try CSV(path: "\(folder)/expected/\(file).csv").records }

    /// The root of the package this test was built from.
    static let packageRoot = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// The set that travels with the code.
    static let own = GoldenSet(name: "tpcds-sf0.01", folder: packageRoot + "/Tests/Fixtures/tpcds-sf0.01")

    /// Sets that must not travel with the code; used where they lie beside the checkout.
    static let beside = ["doc-examples", "northwind"].map { name in
        GoldenSet(name: name, folder: packageRoot + "/../shared/data/golden/" + name)
    }

    static let areBesidePresent = beside.allSatisfy { FileManager.default.fileExists(atPath: $0.input) }
}
