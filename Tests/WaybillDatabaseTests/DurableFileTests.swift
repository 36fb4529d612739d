import Foundation
import Testing
import WaybillDatabase

@Suite struct DurableFileTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "waybill-files-\(UInt64.random(in: .min ... .max))"
        try DurableFile.createFolder(folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func aFileIsReplacedWholeAndLeavesNoPartialBehind() throws {
        try inFolder { folder in
            let path = folder + "/secret"
            try DurableFile.write([1, 2, 3], to: path, mode: 0o600)
            try DurableFile.write([4], to: path, mode: 0o600)
            #expect(try DurableFile.read(path) == [4])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["secret"])
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func aFaultNamesWhatWasTriedAndWhere() throws {
        try inFolder { folder in
            let fault = #expect(throws: FileFault.self) { try DurableFile.read(folder + "/none") }
            #expect(fault?.description == "cannot open \(folder)/none: No such file or directory")
            try DurableFile.write([UInt8](repeating: 0, count: 100), to: folder + "/large")
            #expect(throws: FileFault.self) { try DurableFile.read(folder + "/large", bytesMax: 99) }
        }
    }

    @Test func aHomeHasOneProcessOfAKindAtATime() throws {
        try inFolder { folder in
            var lock: HomeLock? = try HomeLock(home: folder, role: "waybill-hub")
            let fault = #expect(throws: HomeInUse.self) { try HomeLock(home: folder, role: "waybill-hub") }
            #expect(fault?.description == "another waybill-hub is running on \(folder); stop it first")
            withExtendedLifetime(lock) {}
            lock = nil
            _ = try HomeLock(home: folder, role: "waybill-hub")
        }
    }
}
