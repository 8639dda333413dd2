// The fuzzer's bytes as decisions: the first ones say how to cut and configure, the rest is the input itself.

struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    /// The next byte; zero when there is none left.
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func word() -> UInt64 { (0..<8).reduce(0) { value, _ in value << 8 | UInt64(byte()) } }

    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Sizes of at most seven pieces, used over and over; none means all at once.
    mutating func pieceSizes() -> [Int] { (0..<(byte() & 7)).map { _ in 1 + Int(byte()) } }

    /// Sizes of pieces that make up `count`.
    static func pieces(_ sizes: [Int], of count: Int) -> [Int] {
        guard !sizes.isEmpty else { return [count] }
        var pieces: [Int] = []
        var left = count
        while left > 0 {
            pieces.append(min(left, sizes[pieces.count % sizes.count]))
            left -= pieces.last!
        }
        return pieces
    }
}
