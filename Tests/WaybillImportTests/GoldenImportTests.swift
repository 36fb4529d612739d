import Foundation
import Testing
import WaybillCapture
import WaybillDatabase

@testable import WaybillImport

/// The input folders of the golden sets, as far as they are on this machine.
private enum Golden {
    private static let testsFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

    static let folders: [String] = {
        let package = testsFolder.deletingLastPathComponent()
        let shared = package.deletingLastPathComponent().appending(path: "shared/data/golden")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: shared.path)) ?? []
        let candidates =
            names.sorted().map { shared.appending(path: "\($0)/input").path }
            + [testsFolder.appending(path: "Fixtures/tpcds-sf0.01/input").path]
        return candidates.filter { FileManager.default.fileExists(atPath: $0) }
    }()
}

@Suite struct GoldenImportTests {
    @Test(.enabled(if: !Golden.folders.isEmpty, "no golden input folder on this machine"), arguments: Golden.folders)
    func everyGoldenFolderIsImportedWholeAndOnlyOnce(folder: String) throws {
        let hq = try Headquarters()
        let (resolved, warnings, faults) = HQImport.resolve(paths: [folder])
        #expect(faults.isEmpty)
        #expect(
            Set(warnings.map(\.file)).isSuperset(of: ["query_date.csv", "delivery_query.csv", "price_query.csv"]))
        var files = resolved
        if !files.contains(where: { $0.table == "trade_agreement" }) {
            // The largest set has its agreements compressed; an empty file stands in for them.
            files.append(try hq.write("trade_agreement", agreementHeader))
        }
        #expect(Set(files.map(\.table)) == Set(HQCatalogue.tables.map(\.name)))

        let report = try hq.run(files)
        for (file, table) in zip(files, report.tables) {
            // No golden value holds a line end, so lines are records.
            let lines = try String(contentsOfFile: file.path, encoding: .utf8).utf8.count { $0 == 10 }
            #expect(table.rows == lines - 1, "\(file.table)")
            #expect(table.inserted == table.rows && table.updated == 0 && table.unchanged == 0)
            #expect(try hq.rows(file.table).count == table.rows)
        }
        // A line each for an unknown product and an unknown category is part of the larger sets.
        let isUnknown: (ImportFault) -> Bool = { $0.reason.hasSuffix("the line covers nothing") }
        #expect(report.warnings.allSatisfy(isUnknown))
        #expect(report.warningsTotal == (folder.contains("doc-examples") ? 0 : 2))

        let again = try hq.run(files, replace: true)
        #expect(again.tables.allSatisfy { $0.unchanged == $0.rows && $0.removed == 0 })
        #expect(again.version == report.version)
    }
}
