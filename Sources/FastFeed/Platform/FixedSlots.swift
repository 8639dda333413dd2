// Values that own something, in places that do not move. Its owner's thread.

/// Places for values that cannot be copied, filled one after another and never given back. The places do not
/// move, and reaching into one is checked against the count only: one thread owns them. (Hot loops take the `row` once.)
@safe package struct FixedSlots<Element: ~Copyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    package let capacity: Int
    package private(set) var count = 0

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
    }

    /// All places filled at once.
    package init(count: Int, _ make: (_ index: Int) -> Element) {
        self.init(capacity: count)
        for index in 0..<count { append(make(index)) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    /// Fills the next place. The caller has seen `count < capacity`.
    package mutating func append(_ element: consuming Element) {
        precondition(count < capacity)
        unsafe (base + count).initialize(to: element)
        count += 1
    }

    package subscript(index: Int) -> Element {
        @inline(__always)
        unsafeAddress {
            precondition(index < count)
            return unsafe UnsafePointer(base + index)
        }
        @inline(__always)
        nonmutating unsafeMutableAddress {
            precondition(index < count)
            return unsafe base + index
        }
    }

    /// The place itself, for a loop that comes back to it. The caller's index is less than the count, as its own counting has it.
    @inline(__always)
    package func row(_ index: Int) -> Row<Element> {
        assert(index >= 0 && index < count)
        return unsafe Row(base + index)
    }
}

/// One place for a value that cannot be copied. Reaching into it costs neither an access check nor a reference count.
@safe package struct FixedSlot<Value: ~Copyable>: ~Copyable {
    private let row: Row<Value>

    package init(_ value: consuming Value) {
        let place = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        unsafe place.initialize(to: value)
        unsafe row = Row(place)
    }

    deinit {
        unsafe row.pointer.deinitialize(count: 1)
        unsafe row.pointer.deallocate()
    }

    package var value: Value {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(row.pointer) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe row.pointer }
    }
}
