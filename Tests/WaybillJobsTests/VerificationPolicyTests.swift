import Testing
import WaybillJobs

/// `verify:` of a job file.
@Suite struct VerificationPolicyTests {
    private func job(_ verify: String) throws(JobFaults) -> Job {
        try JobFile.read(
            """
            job: promotions
            \(verify)
            subjobs:
              - table: promotion
                key: [promotion_id]
                columns: {promotion_id: text}
                rows: SELECT product_id AS promotion_id FROM product
                stores: all
            """, file: "promotions.yaml")
    }

    @Test func withoutASettingStoresAreVerifiedOnceADayAndNotRepaired() throws {
        #expect(try job("").verification == VerificationPolicy(everySeconds: 86_400, repairs: false))
    }

    @Test(arguments: [("12h", 43_200), ("15m", 900), ("7d", 604_800), ("1m", 60)])
    func anIntervalIsRead(text: String, seconds: Int) throws {
        let policy = try job("verify: {every: \(text), repair: true}").verification
        #expect(policy == VerificationPolicy(everySeconds: seconds, repairs: true))
    }

    @Test func aJobMayBeLeftOut() throws {
        #expect(try job("verify: {every: never}").verification.everySeconds == nil)
    }

    @Test(arguments: ["1s", "0h", "-1h", "h", "32d", "daily", "99999999999999999999d"])
    func whatIsNoIntervalIsAFaultAtItsLine(text: String) throws {
        let faults = #expect(throws: JobFaults.self) { try job("verify: {every: \(text)}") }
        #expect(faults?.faults.map(\.line) == [2])
        #expect(faults?.faults.first?.message.contains("is no interval") == true)
    }
}
