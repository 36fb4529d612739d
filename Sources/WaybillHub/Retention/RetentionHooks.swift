import WaybillModel
import WaybillSessions

extension RetentionHook {
    /// What else a hub keeps that grows: each module that has such a thing adds its hook here. Hooks find their files
    /// by the home (``HubHome/stagingDatabase``) and their moment in the cutoffs (``RetentionCutoffs/staging`` for rows
    /// of imports, ``RetentionCutoffs/sessions`` for what belongs to sessions, such as runs of jobs).
    static func all(_ home: HubHome, _ operations: Operations) -> [RetentionHook] { [] }
}
