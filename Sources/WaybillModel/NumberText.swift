/// Prices and shares as people read them; the hub's sentences and the console show them alike.
public enum NumberText {
    /// `18.90`, `0.0125`: two decimals, and up to six where they say something.
    public static func price(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        let millionths = Int64((abs(value) * 1_000_000).rounded())
        let fraction = String(millionths % 1_000_000)
        var decimals = String(repeating: "0", count: 6 - fraction.count) + fraction
        while decimals.count > 2, decimals.last == "0" { decimals.removeLast() }
        return (value < 0 && millionths > 0 ? "-" : "") + "\(millionths / 1_000_000).\(decimals)"
    }

    /// `82`, `30.4`: one decimal where there is one. Rounded away from zero, so that what is above a limit looks so.
    public static func percent(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        let exact = abs(value) * 10
        // 82.4 * 10 is a hair above 824 in binary.
        let tenths = Int64((exact - 1e-6).rounded(.up))
        let text = tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        return value < 0 && tenths > 0 ? "-" + text : text
    }

    /// `12,000`
    public static func count(_ value: Int64) -> String {
        var text = ""
        for (index, digit) in String(value.magnitude).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (value < 0 ? "-" : "") + String(text.reversed())
    }
}
