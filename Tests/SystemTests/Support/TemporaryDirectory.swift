// A place for a test's files. Whoever holds it owns it, on any one thread; nothing is left behind.

import FastFeed
import Foundation
import Glibc

/// A directory of its own, removed with the object.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/fastfeed-test-\(UInt64.random(in: 0...UInt64.max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
