// Small files that settings name: read to their end, a pipe (`<(…)` of a shell) as well. Any thread. Bounded by who asks.

import Glibc

package enum SmallFile {
    private static let secretBytesMax = 4_096

    /// At most so many bytes of it; nil when it cannot be read.
    /// - Parameter again: by a running service: a file only, since a pipe may keep it waiting.
    package static func bytes(_ path: String, most: Int, again: Bool = false) -> [UInt8]? {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC | (again ? O_NONBLOCK : 0))
        guard number >= 0 else { return nil }
        defer { close(number) }
        var about = stat()
        guard unsafe fstat(number, &about) == 0, !again || about.st_mode & S_IFMT == S_IFREG else { return nil }
        var found: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while found.count < most {
            let got = unsafe read(number, &chunk, min(chunk.count, most - found.count))
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { return nil }
            if got == 0 { break }
            found += chunk[..<got]
        }
        return found
    }

    /// A secret: the first line of a text of at most 4 KiB. Nil when it is not one.
    package static func line(_ path: String, again: Bool = false) -> String? {
        guard let found = bytes(path, most: secretBytesMax + 1, again: again), found.count <= secretBytesMax,
            let text = String(validating: found, as: UTF8.self)
        else { return nil }
        // Some editors begin a text with a mark.
        let lines = (text.hasPrefix("\u{FEFF}") ? text.dropFirst() : text[...]).split(whereSeparator: \.isNewline)
        return lines.first.map(String.init)
    }
}
