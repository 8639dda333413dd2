// Where a value lies, without a pointer in the hands of those who use it. Its owner's thread.
//
// Members are reached by key paths, which the optimiser folds: `row.flags` is the load that a pointer's would be, and
// `scripts/check-instructions.sh` holds it to that.

/// The place of a value that does not move, in memory that outlives all who use it: a table's row, a slot of a ring. Kept by nobody
/// beyond the turn in which it was looked up.
@safe @dynamicMemberLookup
package struct Row<Value: ~Copyable>: BitwiseCopyable {
    /// Where the row lies, for the C shims.
    package let pointer: UnsafeMutablePointer<Value>

    @inline(__always)
    package init(_ pointer: UnsafeMutablePointer<Value>) { unsafe self.pointer = pointer }

    /// All of it, in place.
    package var value: Value {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(pointer) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe pointer }
    }
}

extension Row where Value: BitwiseCopyable {
    package subscript<Member>(dynamicMember path: KeyPath<Value, Member>) -> Member {
        @inline(__always)
        get { unsafe pointer.pointee[keyPath: path] }
    }

    package subscript<Member>(dynamicMember path: WritableKeyPath<Value, Member>) -> Member {
        @inline(__always)
        get { unsafe pointer.pointee[keyPath: path] }
        @inline(__always)
        nonmutating _modify { yield unsafe &pointer.pointee[keyPath: path] }
    }

    /// To be read only, while the row may be used.
    package var lent: Lent<Value> {
        @inline(__always)
        get { unsafe Lent(pointer) }
    }
}

/// A record that is read where it lies, and handed on without a copy. Kept by nobody beyond the call that it was lent to. (As `~Escapable`
/// the compiler would hold us to that; the optimiser of Swift 6.3.1 fails on such code.)
@safe @dynamicMemberLookup
package struct Lent<Value: BitwiseCopyable>: BitwiseCopyable {
    private let pointer: UnsafePointer<Value>

    @inline(__always)
    package init(_ pointer: UnsafePointer<Value>) { unsafe self.pointer = pointer }

    @inline(__always)
    init(_ pointer: UnsafeMutablePointer<Value>) { unsafe self.pointer = UnsafePointer(pointer) }

    package subscript<Member>(dynamicMember path: KeyPath<Value, Member>) -> Member {
        @inline(__always)
        get { unsafe pointer.pointee[keyPath: path] }
    }

    /// A copy of all of it.
    package var value: Value {
        @inline(__always)
        unsafeAddress { unsafe pointer }
    }
}

/// Lends a value for the length of a call.
@inline(__always)
package func lend<Value: BitwiseCopyable, Result>(_ value: Value, _ body: (Lent<Value>) -> Result) -> Result {
    unsafe withUnsafePointer(to: value) { unsafe body(Lent($0)) }
}
