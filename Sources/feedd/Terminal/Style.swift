// Colours of the terminal, sparingly: the sixteen that every theme has tuned to its background.

import Glibc

enum Style: String {
    case plain = "0"
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case cyan = "36"
    case brightRed = "1;31"
    case brightGreen = "1;32"
    case inverse = "7"

    func paint(_ text: String) -> String { self == .plain ? text : "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" }

    /// False when the user set NO_COLOR (no-color.org) or has a terminal without colours.
    static var isColourWanted: Bool {
        if let wish = unsafe getenv("NO_COLOR"), unsafe strlen(wish) > 0 { return false }
        return isTerminalCapable
    }

    /// True when TERM names something that knows escape sequences.
    static var isTerminalCapable: Bool {
        guard let terminal = unsafe getenv("TERM") else { return false }
        return unsafe strlen(terminal) > 0 && strcmp(terminal, "dumb") != 0
    }
}
