/// Text that is safe to show, and how many columns of a terminal it takes.
public enum TerminalText {
    /// `text` on one line, without anything that could steer a terminal or turn the reading direction.
    ///
    /// Messages come from agents and files: an escape sequence in one of them must not repaint the screen.
    public static func plain(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x09, 0x0a, 0x0d, 0x2028, 0x2029: result.append(" ")
            case 0..<0x20, 0x7f..<0xa0, 0x200b...0x200f, 0x202a...0x202e, 0x2066...0x2069, 0xfeff: continue
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// Columns: two for East Asian wide characters and emoji, none for combining marks.
    public static func width(_ text: String) -> Int {
        text.reduce(0) { $0 + width($1) }
    }

    /// `text`, or as much of it as fits into `columns` with an ellipsis at the end.
    public static func truncated(_ text: String, to columns: Int) -> String {
        guard width(text) > columns else { return text }
        guard columns > 0 else { return "" }
        var result = ""
        var used = 0
        for character in text {
            let next = width(character)
            if used + next > columns - 1 { break }
            result.append(character)
            used += next
        }
        return result + "…"
    }

    /// `text` in a field of `columns`, padded with spaces.
    public static func padded(_ text: String, to columns: Int, right: Bool = false) -> String {
        let spaces = String(repeating: " ", count: max(0, columns - width(text)))
        return right ? spaces + text : text + spaces
    }

    private static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0x0300...0x036f: return 0
        case 0x1100...0x115f, 0x2e80...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60,
            0xffe0...0xffe6, 0x1f300...0x1faff, 0x20000...0x3fffd:
            return 2
        default: return 1
        }
    }
}

/// What a piece of text stands for; a terminal with colours shows it.
public enum Style: Sendable {
    case plain, heading, good, warning, bad, dim

    func applied(to text: String, colour: Bool) -> String {
        guard colour, self != .plain else { return text }
        let code =
            switch self {
            case .plain: "0"
            case .heading: "1"
            case .good: "32"
            case .warning: "33"
            case .bad: "31"
            case .dim: "2"
            }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }

    /// How a status of a session or delivery is shown.
    static func of(status: String) -> Style {
        switch status {
        case "Applied": .good
        case "CreateFailed", "DownloadFailed", "ApplyFailed", "Suspended", "Failed", "OnHold": .bad
        case "AwaitingApproval": .warning
        case "Canceled", "Superseded", "NoData": .dim
        default: .plain
        }
    }
}

/// Where lines go: how wide it is and whether it has colours.
public struct Screen: Hashable, Sendable {
    /// nil: no limit, as in a file or a pipe.
    public var columns: Int?
    public var hasColour: Bool

    public init(columns: Int?, hasColour: Bool) {
        self.columns = columns
        self.hasColour = hasColour
    }

    /// `text` cut to the screen's width, in `style`.
    public func line(_ text: String, _ style: Style = .plain) -> String {
        style.applied(to: columns.map { TerminalText.truncated(text, to: $0) } ?? text, colour: hasColour)
    }
}
