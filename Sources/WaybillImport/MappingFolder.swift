import Foundation
import WaybillDatabase
import WaybillModel

/// The mappings of a hub: every `*.yaml` of its folder, good or not.
public struct MappingFolder: Sendable {
    /// A file that cannot be used, with all that is wrong in it.
    public struct Broken: Sendable, Equatable {
        public var name: String
        /// As far as they could be read.
        public var patterns: [String]
        public var faults: [ImportFault]
    }

    public private(set) var mappings: [ImportMapping] = []
    public private(set) var broken: [Broken] = []
    private let tables: HQTableList

    /// Bytes of one file of mappings: a value list of some thousand entries fits.
    private static let fileBytesMax = 1 << 20

    /// Reads the folder; an absent one has no mappings.
    public init(_ path: String, tables: HQTableList) {
        self.tables = tables
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        for name in names.sorted() where name.hasSuffix(".yaml") && !name.hasPrefix(".") {
            do {
                let bytes = try DurableFile.read(path + "/" + name, bytesMax: MappingFolder.fileBytesMax)
                add(MappingReading.read(String(decoding: bytes, as: UTF8.self), name: name, tables: tables))
            } catch {
                broken.append(
                    Broken(
                        name: name, patterns: [],
                        faults: [ImportFault(file: "mappings/" + name, line: 0, reason: "\(error)")]))
            }
        }
    }

    private mutating func add(_ result: MappingReading.Outcome) {
        switch result {
        case .mapping(let mapping): mappings.append(mapping)
        case .broken(let file): broken.append(file)
        }
    }

    /// The file as it is to be imported: by the one mapping that is for its name, else as the table of that name.
    ///
    /// A mapping that cannot be used stops the files that are its own, and those that nothing else is for; it does
    /// not stop others.
    public func file(named name: String, path: String) -> Result<ImportFile, MappingFaults> {
        let matching = mappings.filter { $0.patterns.contains { FilePattern.matches(name, $0) } }
        let unusable = broken.filter { $0.patterns.contains { FilePattern.matches(name, $0) } }
        if !unusable.isEmpty { return .failure(MappingFaults(unusable.flatMap(\.faults))) }
        if matching.count > 1 {
            let names = matching.map(\.name).joined(separator: " and ")
            return .failure(
                MappingFaults([
                    ImportFault(
                        file: name, line: 0,
                        reason: "mappings \(names) are both for it; make their patterns name different files")
                ]))
        }
        if let mapping = matching.first {
            return .success(ImportFile(table: mapping.table, displayName: name, path: path, mapping: mapping))
        }
        let table = name.hasSuffix(".csv") ? String(name.dropLast(4)) : name
        if tables.table(table) != nil {
            return .success(ImportFile(table: table, displayName: name, path: path))
        }
        let alone = ImportFault(file: name, line: 0, reason: tables.noSuchTable(table) + "; and no mapping is for it")
        return .failure(MappingFaults([alone] + broken.filter(\.patterns.isEmpty).flatMap(\.faults)))
    }
}

/// Why a file cannot be imported, whatever stands in it.
public struct MappingFaults: Error, Sendable, Equatable {
    public var faults: [ImportFault]

    init(_ faults: [ImportFault]) { self.faults = faults }
}
