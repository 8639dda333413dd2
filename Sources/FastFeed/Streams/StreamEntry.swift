// An entry of a stream. A plain value, any thread.

/// One entry: the stream it is in, its id and its fields.
public struct StreamEntry: Sendable, Equatable, Identifiable {
    /// The stream's key as Redis has it.
    public let key: String
    /// Its place in the stream: larger than the ids of all entries before it.
    public let id: StreamID
    /// Names and values; at least one.
    public let fields: StreamFields

    /// A value: nothing is added by making one.
    @inline(__always)
    public init(key: String, id: StreamID, fields: StreamFields) { (self.key, self.id, self.fields) = (key, id, fields) }

    /// The value of the first field of that name as text (bytes that are not UTF-8 repaired); nil where there is none.
    @inline(__always)
    public subscript(name: String) -> String? { fields[name] }

    /// The same field as bytes, for values that are not UTF-8.
    public func bytes(_ name: String) -> [UInt8]? { fields.bytes(name) }
}
