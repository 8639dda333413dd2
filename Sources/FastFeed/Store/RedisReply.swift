// What a reply means for the command it answers. Pure.

import CShims

/// Redis's error replies, sorted by what to do about them.
package enum ReplyVerdict: Equatable {
    case done
    /// XADD: the entry is not newer than the newest; the history script decides.
    case notNewest
    /// Not now: send the command again later (out of memory, loading, read-only, ...).
    case later
    /// Not on this connection: connect and authenticate anew.
    case reconnect
    /// Never: the command would be refused each time.
    case never

    /// - Parameter error: the reply's text after `-`.
    package init(error: some StringProtocol) {
        let word = error.prefix { $0 != " " }
        switch word {
        case "NOAUTH", "WRONGPASS": self = .reconnect
        case "OOM", "LOADING", "MISCONF", "READONLY", "NOREPLICAS", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "NOPERM",
            "UNBLOCKED", "MOVED", "ASK":
            self = .later
        case "ERR":
            if error.hasPrefix("ERR The ID specified in XADD is equal or smaller")
                || error.hasPrefix("ERR The ID specified in XADD must be greater")
            {
                self = .notNewest
            } else if error.hasPrefix("ERR max number of clients") {
                self = .reconnect
            } else {
                self = .never
            }
        default: self = .never
        }
    }
}

/// The reply reader of hiredis behind a bound.
@safe package struct ReplyReader: ~Copyable {
    private let reader: OpaquePointer
    let replies: UnsafeMutablePointer<ff_reply>
    package static let capacity = 512

    package init() {
        guard let made = unsafe ff_reply_reader_create() else { fatalError("out of memory: reply reader") }
        unsafe reader = unsafe made
        unsafe replies = .allocate(capacity: ReplyReader.capacity)
        unsafe replies.initialize(repeating: ff_reply(), count: ReplyReader.capacity)
    }

    deinit {
        unsafe ff_reply_reader_free(reader)
        unsafe replies.deallocate()
    }

    /// False on a protocol error.
    package func feed(_ bytes: UnsafeRawPointer, count: Int) -> Bool {
        unsafe ff_reply_reader_feed(reader, bytes, count, Limits.replyBytesMax) == 0
    }

    /// How many of `replies` were filled, none when more bytes are needed; nil on a protocol error, after the
    /// replies before it.
    package func drain() -> Int? {
        let count = unsafe ff_reply_reader_drain(reader, replies, Int32(ReplyReader.capacity))
        return count < 0 ? nil : Int(count)
    }

    /// The kind of the reply at a place of `replies`, as RESP has it: `ff_reply_kind`.
    package func kind(_ index: Int) -> Int {
        precondition(index < ReplyReader.capacity)
        return unsafe Int(replies[index].kind)
    }

    var error: String { unsafe String(cString: ff_reply_reader_error(reader)) }
}

extension ff_reply {
    var isError: Bool { Int(kind) == Int(FF_REPLY_ERROR.rawValue) }
    var message: String { unsafe withUnsafeBytes(of: text) { unsafe Ascii.printable($0.prefix(Int(length))) } }
}
