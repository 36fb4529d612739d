import Foundation
import Testing
import WaybillDatabase

@Suite struct ServiceWatchdogTests {
    @Test(arguments: [
        (["WATCHDOG_USEC": "300000000"], 100_000), (["WATCHDOG_USEC": "1"], 1), ([:], 3_600_000),
        (["WATCHDOG_USEC": "junk"], 3_600_000), (["WATCHDOG_USEC": "300000000", "WATCHDOG_PID": "1"], 3_600_000),
    ])
    func itIsToldThreeTimesAsOftenAsSystemdWaits(environment: [String: String], milliseconds: Int) {
        #expect(ServiceWatchdog(environment: environment).intervalMilliseconds == Int64(milliseconds))
    }

    @Test func aWatchdogForThisVeryProcessIsServed() {
        let environment = ["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": String(getpid())]
        #expect(ServiceWatchdog(environment: environment).intervalMilliseconds == 1000)
    }
}
