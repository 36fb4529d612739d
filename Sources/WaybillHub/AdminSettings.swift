import WaybillModel

/// The settings about administrators and what is kept of their doings.
extension HubConfiguration {
    /// Fewer days would be gone before anybody asks.
    static let auditDaysMin = 30

    func checkAdmin() throws {
        _ = try adminListener(tokens: "")
        guard auditDays == 0 || (HubConfiguration.auditDaysMin...RetentionPolicy.daysMax).contains(auditDays) else {
            throw HomeFault(
                "keep_audit_days must be 0, for ever, or from \(HubConfiguration.auditDaysMin) to \(RetentionPolicy.daysMax)"
            )
        }
    }

    func adminListener(tokens: String) throws -> AdminListener? {
        guard !adminListen.isEmpty else { return nil }
        return try .checked(adminListen, allowsAnyAddress: adminAllowsAnyAddress, tokens: tokens)
    }
}
