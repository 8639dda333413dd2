// A value that one thread hands to a task that waits for it. Any thread.
//
// It goes through a lock and not with the continuation: the thread sanitizer sees that what was written before is read after.

struct Handover<Value: Sendable>: Sendable {
    private let box: Lock<Value?>
    private let continuation: CheckedContinuation<Void, Never>

    /// Call it once.
    func resume(returning value: Value) {
        box.withLock { $0 = value }
        continuation.resume()
    }

    /// Waits until whoever the body gives it to resumes it.
    static func wait(_ body: (Handover) -> Void) async -> Value {
        let box = Lock<Value?>(nil)
        await withCheckedContinuation { body(Handover(box: box, continuation: $0)) }
        return box.withLock { $0! }
    }
}
