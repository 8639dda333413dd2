// Standard output, and the terminal under the live view. What a command prints is written at once and each write is checked. The
// terminal is borrowed whole and always given back as it was: at the end, on a signal, and on a crash.

import FastFeed
import Glibc

enum Terminal {
    /// Looked at before anything is printed: a terminal that has hung up is not one any more.
    private static let isAtFirst = isatty(1) == 1

    /// What a command has to say. False when the reader of the pipe has gone, or the terminal: who has seen enough has not failed.
    /// - Throws: when it cannot be written, as on a full disk; what is there then is cut off.
    @discardableResult
    static func print(_ text: String) throws(Failure) -> Bool {
        guard let error = LogSink.standardOutput.write(text) else { return true }
        guard error.code == EPIPE || error.code == EIO && isAtFirst else { throw cannotWrite(error) }
        return false
    }

    /// The end of what is printed: some file systems say only when a file is closed that there is no room.
    static func finish() throws(Failure) {
        let copy = dup(1)
        guard copy >= 0, close(copy) != 0 else { return }
        throw cannotWrite(SystemError("close"))
    }

    private static func cannotWrite(_ error: SystemError) -> Failure {
        Failure(Failure.refused, "cannot write to standard output: \(error.reason)")
    }

    /// Gives descriptors 0 to 2 an owner where the parent has closed them: a socket that got such a number would be sent what is
    /// printed, or the log. Each is opened the wrong way round, so that using it still fails. Call before anything is opened.
    static func claimStandardDescriptors() {
        _ = isAtFirst
        for number in Int32(0)...2 where fcntl(number, F_GETFD) < 0 {
            // The lowest number that is free, and the lower ones are taken by now.
            _ = unsafe open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY)
        }
    }

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
        _ = LogSink.standardOutput.write(TerminalScreen.enterText)
    }

    deinit { TerminalScreen.giveBack(before) }

    fileprivate static func giveBack(_ before: termios) {
        var before = before
        unsafe write(1, leaveText.utf8Start, leaveText.utf8CodeUnitCount)
        unsafe tcsetattr(0, TCSANOW, &before)
    }

    /// One write per frame; the terminal shows it when it is complete (mode 2026, where it is known). False when nobody sees it any more.
    func show(_ lines: [String]) throws(Failure) -> Bool {
        let body = lines.joined(separator: "\u{1B}[K\r\n")
        return try Terminal.print("\u{1B}[?2026h\u{1B}[H\(body)\u{1B}[K\u{1B}[J\u{1B}[?2026l")
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
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGQUIT] {
            signal(number) { number in
                // write, tcsetattr, signal and raise are all that happens here: async-signal-safe.
                unsafe TerminalScreen.giveBack(Rescue.before)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
