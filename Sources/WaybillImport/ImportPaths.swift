import Foundation
import WaybillCapture
import WaybillDatabase

extension HQImport {
    /// The files that `paths` name, each a CSV file called after its table or a folder of such files.
    ///
    /// In a folder, what is no CSV file of a table is left out with a warning: exports bring reports and notes along.
    /// A file that was named itself must be one. Faults have line 0; with any of them nothing should be imported.
    public static func resolve(
        paths: [String]
    ) -> (files: [ImportFile], warnings: [ImportFault], faults: [ImportFault]) {
        var files: [ImportFile] = []
        var warnings: [ImportFault] = []
        var faults: [ImportFault] = []
        for path in paths {
            var status = stat()
            guard stat(path, &status) == 0 else {
                faults.append(ImportFault(file: path, line: 0, reason: FileFault("open", path).description))
                continue
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                addFolder(path, &files, &warnings, &faults)
            } else if let file = importFile(path) {
                files.append(file)
            } else {
                faults.append(ImportFault(file: path, line: 0, reason: reasonAgainst(path)))
            }
        }
        faults += repeated(files)
        return (files, warnings, faults)
    }

    private static func addFolder(
        _ path: String, _ files: inout [ImportFile], _ warnings: inout [ImportFault], _ faults: inout [ImportFault]
    ) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            faults.append(ImportFault(file: path, line: 0, reason: "the folder cannot be read"))
            return
        }
        var found = 0
        for name in names {
            let entry = (path as NSString).appendingPathComponent(name)
            if let file = importFile(entry) {
                files.append(file)
                found += 1
            } else {
                warnings.append(ImportFault(file: name, line: 0, reason: "left out: \(reasonAgainst(entry))"))
            }
        }
        if found == 0 {
            faults.append(ImportFault(file: path, line: 0, reason: "the folder holds no CSV file of an HQ table"))
        }
    }

    private static func importFile(_ path: String) -> ImportFile? {
        let name = (path as NSString).lastPathComponent
        guard name.hasSuffix(".csv"), HQCatalogue.table(String(name.dropLast(4))) != nil else { return nil }
        return ImportFile(table: String(name.dropLast(4)), displayName: name, path: path)
    }

    private static func reasonAgainst(_ path: String) -> String {
        let name = (path as NSString).lastPathComponent
        guard name.hasSuffix(".csv") else { return "the name does not end in .csv" }
        return "HQ has no table \(excerpt(name.dropLast(4).utf8)); its tables are "
            + HQCatalogue.tables.map(\.name).joined(separator: ", ")
    }

    private static func repeated(_ files: [ImportFile]) -> [ImportFault] {
        var first: [String: ImportFile] = [:]
        var faults: [ImportFault] = []
        for file in files {
            if let earlier = first[file.table] {
                faults.append(
                    ImportFault(
                        file: file.path, line: 0,
                        reason: "table \(file.table) is already filled by \(earlier.path); one file a table"))
            } else {
                first[file.table] = file
            }
        }
        return faults
    }
}
