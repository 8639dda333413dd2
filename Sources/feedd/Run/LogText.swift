// Text that may have foreign bytes in it, made safe for a terminal, a file and a JSON parser.

import FastFeed
import Glibc

enum LogText {
    /// Control characters, marks that change the writing direction, invisible and unassigned characters
    /// become `\u{…}`: a log line shows what is in it, and stays one line.
    static func escaped(_ text: String) -> String {
        guard !text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if isPrintable(scalar) {
                safe.unicodeScalars.append(scalar)
            } else {
                safe += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return safe
    }

    /// Several lines, each escaped.
    static func lines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: true).map { escaped(String($0)) + "\n" }.joined()
    }

    /// A field's value: quoted when it would be hard to tell where it ends.
    static func field(_ text: String) -> String {
        let safe = escaped(text)
        guard safe.isEmpty || safe.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else { return safe }
        return "\"" + safe.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }

    /// A JSON string with its quotes.
    static func json(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where isPrintable(scalar): quoted.unicodeScalars.append(scalar)
            default:
                for unit in String(scalar).utf16 { quoted += "\\u" + Ascii.hex(unit) }
            }
        }
        return quoted + "\""
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    /// `2026-11-21T04:31:09.123Z`, or the time of day alone.
    static func time(_ unixMs: Int64, withDate: Bool) -> String {
        var seconds = time_t(unixMs / 1_000)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        let clock = unsafe "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(three(Int32(unixMs % 1_000)))"
        guard withDate else { return clock }
        return unsafe "\(parts.tm_year + 1_900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(clock)Z"
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    private static func three(_ number: Int32) -> String { number < 100 ? "0" + two(number) : "\(number)" }
}
