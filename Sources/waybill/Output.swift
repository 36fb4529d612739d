import Foundation
import WaybillAdmin
import WaybillConsole
import WaybillModel

/// Results go to stdout, everything else to stderr.
enum Output {
    static var now: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }

    static func lines(_ lines: [String]) {
        write(lines.joined(separator: "\n") + "\n", to: STDOUT_FILENO)
    }

    static func json(_ value: some Encodable) throws {
        write(String(decoding: try AdminJSON.encodePretty(value), as: UTF8.self) + "\n", to: STDOUT_FILENO)
    }

    static func note(_ text: String) {
        write(TerminalText.plain(text) + "\n", to: STDERR_FILENO)
    }

    static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + offset, bytes.count - offset)
            }
            if written < 0, errno == EINTR { continue }
            // Nobody reads any more; there is nobody to tell.
            guard written > 0 else { return }
            offset += written
        }
    }

    static var screen: Screen { screen(of: STDOUT_FILENO) }

    /// No colours when somebody asks for none (no-color.org) and in what is no terminal.
    static func screen(of descriptor: Int32) -> Screen {
        guard isatty(descriptor) == 1 else { return Screen(columns: nil, hasColour: false) }
        let environment = ProcessInfo.processInfo.environment
        let hasColour = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return Screen(columns: 80, hasColour: hasColour)
        }
        return Screen(columns: Int(size.ws_col), hasColour: hasColour)
    }
}

/// Lines on stderr that are drawn again and again at the same place; elsewhere than on a terminal, a log of what
/// has changed.
///
/// The cursor always rests below the block and is never hidden, and each drawing is one write: whenever the program
/// is interrupted, the terminal is as it should be.
struct LiveBlock {
    /// Ten drawings a second: more is flicker.
    private static let interval = Duration.milliseconds(100)

    let screen = Output.screen(of: STDERR_FILENO)
    private var shown: [String] = []
    private var drawnAt: ContinuousClock.Instant?

    var isTerminal: Bool { screen.columns != nil }

    /// - Parameters:
    ///   - live: for a terminal.
    ///   - plain: for anything else; a line is written when it differs from the one at its place before.
    ///   - isLast: draws even when the last drawing was a moment ago.
    mutating func show(live: @autoclosure () -> [String], plain: @autoclosure () -> [String], isLast: Bool = false) {
        guard isTerminal else {
            let lines = plain()
            for (index, line) in lines.enumerated() where index >= shown.count || shown[index] != line {
                Output.write(line + "\n", to: STDERR_FILENO)
            }
            shown = lines
            return
        }
        let now = ContinuousClock.now
        if !isLast, let drawnAt, now - drawnAt < LiveBlock.interval { return }
        let lines = live()
        guard lines != shown else { return }
        drawnAt = now
        let up = shown.isEmpty ? "" : "\u{1b}[\(shown.count)A"
        Output.write(up + "\r\u{1b}[J" + lines.joined(separator: "\n") + "\n", to: STDERR_FILENO)
        shown = lines
    }

    /// Takes the block away, for the result that follows.
    mutating func clear() {
        if isTerminal, !shown.isEmpty { Output.write("\u{1b}[\(shown.count)A\r\u{1b}[J", to: STDERR_FILENO) }
        shown = []
    }
}
