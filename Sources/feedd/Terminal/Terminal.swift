// The terminal under the live view: borrowed whole, always given back as it was: at the end, on a signal,
// and on a crash.

import Glibc

enum Terminal {
    static let output = LogSink.standardOutput

    /// Both ends of a conversation with a person.
    static var isInteractive: Bool { isatty(0) == 1 && isatty(1) == 1 && Style.isTerminalCapable }

    /// Columns and rows; 80 × 24 when the terminal does not say.
    static var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}

/// The alternate screen without cursor and echo, for as long as this value lives.
struct TerminalScreen: ~Copyable {
    private let before: termios
    private static let enterText = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J"
    private static let leaveText: StaticString = "\u{1B}[?2026l\u{1B}[0m\u{1B}[?25h\u{1B}[?1049l"

    init() {
        var settings = termios()
        unsafe tcgetattr(0, &settings)
        before = settings
        // Ctrl-C stays a signal; Ctrl-Z would leave the screen behind, so it is off.
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        unsafe tcsetattr(0, TCSANOW, &settings)
        signal(SIGTSTP, SIG_IGN)
        Rescue.install(before)
        Terminal.output.write(TerminalScreen.enterText)
    }

    deinit { TerminalScreen.giveBack(before) }

    fileprivate static func giveBack(_ before: termios) {
        var before = before
        unsafe write(1, leaveText.utf8Start, leaveText.utf8CodeUnitCount)
        unsafe tcsetattr(0, TCSANOW, &before)
    }

    /// One write per frame; the terminal shows it when it is complete (mode 2026, where it is known).
    func show(_ lines: [String]) {
        let body = lines.joined(separator: "\u{1B}[K\r\n")
        Terminal.output.write("\u{1B}[?2026h\u{1B}[H\(body)\u{1B}[K\u{1B}[J\u{1B}[?2026l")
    }

    /// Looks at the keys pressed since the last call: true when q or Ctrl-D is among them.
    func endIsWanted() -> Bool {
        var isWanted = false
        var question = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&question, 1, 0) == 1, question.revents & Int16(POLLIN) != 0 {
            var byte: UInt8 = 0
            guard unsafe read(0, &byte, 1) == 1 else { break }
            isWanted = isWanted || [UInt8(ascii: "q"), UInt8(ascii: "Q"), 4].contains(byte)
        }
        return isWanted
    }
}

/// Gives the terminal back when the process crashes.
private enum Rescue {
    // Written once, before the handlers are installed; afterwards only read.
    nonisolated(unsafe) private static var before = termios()

    static func install(_ settings: termios) {
        unsafe before = settings
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGHUP, SIGQUIT] {
            signal(number) { number in
                // write, tcsetattr, signal and raise are all that happens here: async-signal-safe.
                unsafe TerminalScreen.giveBack(Rescue.before)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
