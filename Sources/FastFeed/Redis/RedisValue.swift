// Whole replies as values: what the control side's client hands out, and the bounded reader that makes them.

import CShims

/// A reply as a value.
public indirect enum RedisValue: Sendable, Equatable {
    /// Bulk and status strings; bytes that are not UTF-8 are repaired.
    case string(String)
    case integer(Int64)
    case array([RedisValue])
    case null
    case error(String)

    public var text: String? { if case .string(let text) = self { text } else { nil } }
    public var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
    public var elements: [RedisValue] { if case .array(let values) = self { values } else { [] } }
    /// The strings of an array.
    public var strings: [String] { elements.compactMap(\.text) }
    /// The strings of an array by twos: names and values.
    package var pairs: [(String, String)] {
        let texts = strings
        return stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) }
    }
}

/// hiredis's reader of reply trees behind bounds: an announced length sizes nothing that is not bounded here.
@safe package struct ReplyTreeReader: ~Copyable {
    private let reader: OpaquePointer

    package init() {
        guard let made = unsafe ff_tree_reader_create() else { fatalError("out of memory: reply reader") }
        unsafe reader = unsafe made
    }

    deinit { unsafe ff_tree_reader_free(reader) }

    /// False when a string is longer than the limit; then the connection is of no more use.
    package func feed(_ bytes: UnsafeRawPointer, count: Int) -> Bool {
        unsafe ff_tree_reader_feed(reader, bytes, count, Limits.treeTextBytesMax) == 0
    }

    /// The next complete reply; nil when more bytes are needed.
    /// - Throws: on a protocol error, or an array beyond the limit.
    package func next() throws(FeedError) -> RedisValue? {
        var tree: OpaquePointer?
        guard unsafe ff_tree_reader_next(reader, &tree) == 0 else { throw FeedError(.redis, "protocol error from Redis") }
        guard let tree = unsafe tree else { return nil }
        defer { unsafe ff_tree_free(tree) }
        return unsafe ReplyTreeReader.value(tree)
    }

    private static func value(_ tree: OpaquePointer) -> RedisValue {
        func text() -> String {
            var length = 0
            let bytes = unsafe ff_tree_text(tree, &length)
            return unsafe String(decoding: UnsafeRawBufferPointer(start: bytes, count: length), as: UTF8.self)
        }
        switch unsafe UInt32(ff_tree_kind(tree)) {
        case FF_REPLY_STRING.rawValue, FF_REPLY_STATUS.rawValue: return .string(text())
        case FF_REPLY_INTEGER.rawValue: return unsafe .integer(ff_tree_integer(tree))
        case FF_REPLY_ERROR.rawValue: return .error(text())
        case FF_REPLY_ARRAY.rawValue:
            return unsafe .array((0..<ff_tree_count(tree)).map { unsafe value(ff_tree_element(tree, $0)) })
        default: return .null
        }
    }
}
