import Foundation
import WaybillSessions

extension Publisher {
    /// After a restore, and wherever else package files are missing; before any store is served.
    func forgetLostPackages() throws {
        let home = home
        let lost = try operations.write { db in
            try LostPackages.forget(in: db) { FileManager.default.fileExists(atPath: "\(home.packages)/\($0).zst") }
        }
        guard lost > 0 else { return }
        logger.warning("the files of \(lost) packages are gone; they are made anew for stores that still need them")
    }
}
