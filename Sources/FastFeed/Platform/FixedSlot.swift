// One place for a value that cannot be copied. It does not move, and reaching into it costs neither an access check nor a
// reference count: one thread owns it.

@safe package struct FixedSlot<Value: ~Copyable>: ~Copyable {
    private let base: UnsafeMutablePointer<Value>

    package init(_ value: consuming Value) {
        unsafe base = .allocate(capacity: 1)
        unsafe base.initialize(to: value)
    }

    deinit {
        unsafe base.deinitialize(count: 1)
        unsafe base.deallocate()
    }

    package var value: Value {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(base) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe base }
    }
}
