// The data path's reader of replies: flat records, read in place, no allocation per reply. Its owner's thread.

package import CShims

/// The reply reader of hiredis behind a bound.
@safe package struct ReplyReader: ~Copyable {
    private let reader: OpaquePointer
    package let replies = MappedArray<ff_reply>(zeroed: capacity)
    package static let capacity = 512

    package init() {
        guard let made = unsafe ff_reply_reader_create() else { fatalError("out of memory: reply reader") }
        unsafe reader = unsafe made
    }

    deinit { unsafe ff_reply_reader_free(reader) }

    /// False on a protocol error.
    package func feed(_ bytes: Span<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe ff_reply_reader_feed(reader, $0.baseAddress, $0.count, Limits.replyBytesMax) } == 0
    }

    /// How many of `replies` were filled, none when more bytes are needed; nil on a protocol error, after the
    /// replies before it.
    package func drain() -> Int? {
        let count = unsafe ff_reply_reader_drain(reader, replies.row(0).pointer, Int32(ReplyReader.capacity))
        return count < 0 ? nil : Int(count)
    }

    /// The kind of the reply at a place of `replies`, as RESP has it: `ff_reply_kind`.
    package func kind(_ index: Int) -> Int {
        precondition(index < ReplyReader.capacity)
        return Int(replies[index].kind)
    }

    /// A string's or an error's text, its beginning.
    package func text(_ index: Int) -> String {
        precondition(index < ReplyReader.capacity)
        return replies[index].message
    }

    var error: String { unsafe String(cString: ff_reply_reader_error(reader)) }
}

extension ff_reply {
    var isError: Bool { Int(kind) == Int(FF_REPLY_ERROR.rawValue) }
    var message: String { unsafe withUnsafeBytes(of: text) { unsafe Ascii.printable($0.prefix(Int(length))) } }
}
