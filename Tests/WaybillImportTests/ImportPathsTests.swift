import Foundation
import Testing
import WaybillCapture
import WaybillDatabase

@testable import WaybillImport

@Suite struct ImportPathsTests {
    let hq: Headquarters

    init() throws { hq = try Headquarters() }

    @Test func aFolderGivesItsTablesAndWarnsOfTheRest() throws {
        let folder = hq.folder + "/export"
        try DurableFile.createFolder(folder)
        for name in ["store.csv", "category.csv", "query_date.csv", "README.md", ".hidden"] {
            try DurableFile.write([], to: "\(folder)/\(name)")
        }
        let (files, warnings, faults) = HQImport.resolve(paths: [folder + "/"])
        #expect(
            files == [
                ImportFile(table: "category", displayName: "category.csv", path: "\(folder)/category.csv"),
                ImportFile(table: "store", displayName: "store.csv", path: "\(folder)/store.csv"),
            ])
        let tables = HQCatalogue.tables.map(\.name).joined(separator: ", ")
        #expect(
            warnings.map(\.description) == [
                "README.md: left out: the name does not end in .csv",
                "query_date.csv: left out: HQ has no table 'query_date'; its tables are \(tables)",
            ])
        #expect(faults.isEmpty)
    }

    @Test func aFileThatIsNamedItselfMustBeATable() throws {
        let path = hq.folder + "/query_date.csv"
        try DurableFile.write([], to: path)
        let (files, warnings, faults) = HQImport.resolve(paths: [path, hq.folder + "/store.csv"])
        #expect(files.isEmpty && warnings.isEmpty)
        #expect(faults.count == 2)
        #expect(faults.first?.description.hasPrefix("\(path): HQ has no table 'query_date'; its tables are ") == true)
        #expect(
            faults.last?.description
                == "\(hq.folder)/store.csv: cannot open \(hq.folder)/store.csv: No such file or directory")
    }

    @Test func twoFilesOfOneTableAreAFaultAlsoWhenRunDirectly() throws {
        let one = try hq.write("store", "x")
        try DurableFile.createFolder(hq.folder + "/b")
        try DurableFile.write([], to: hq.folder + "/b/store.csv")
        let expected = "table store is already filled by \(one.path); one file a table"
        let faults = HQImport.resolve(paths: [one.path, hq.folder + "/b"]).faults
        #expect(faults.map(\.description) == ["\(hq.folder)/b/store.csv: \(expected)"])
        #expect(try hq.faults([one, one]) == ["store.csv: \(expected)"])
    }

    @Test func aFolderWithoutTablesIsAFault() throws {
        try DurableFile.createFolder(hq.folder + "/empty")
        #expect(
            HQImport.resolve(paths: [hq.folder + "/empty"]).faults.map(\.description) == [
                "\(hq.folder)/empty: the folder holds no CSV file of an HQ table"
            ])
    }
}
