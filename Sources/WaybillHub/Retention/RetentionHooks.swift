import WaybillImport
import WaybillModel
import WaybillSessions

extension RetentionHook {
    /// What else a hub keeps that grows. Runs of jobs are not here: the runner forgets them by itself.
    static func all(_ staging: StagingDatabase) -> [RetentionHook] { [RetentionHook.staging(staging)] }

    /// Rows of imports that have finished. Those with an error, and those of imports that did not finish, stay until
    /// somebody removes them by hand.
    private static func staging(_ staging: StagingDatabase) -> RetentionHook {
        RetentionHook(kind: "staging") { cutoffs, isDryRun, pause in
            try pause()
            let cleaning = StagingCleaning(before: cutoffs.staging)
            if isDryRun { return (Int64(try staging.count(cleaning)), 0) }
            let cleaned = try staging.clean(cleaning)
            return (Int64(cleaned.rows), cleaned.bytes)
        }
    }
}
