// What is always so of what a connection asks for. Tests and simulated worlds ask for it, the product never does. Pure.

extension Subscription {
    /// The first invariant that does not hold, as a sentence; nil: all hold.
    package func checkInvariants() -> String? {
        guard Set(streams).count == streams.count else { return "subscription: a stream is carried twice" }
        for (place, request) in waiting.enumerated() {
            guard !request.names.isEmpty else { return "subscription: a request for nothing waits" }
            guard request.isRenewal else { continue }
            // Or what it gives up would stay away.
            guard request.method == .unsubscribe, place + 1 < waiting.count, waiting[place + 1].method == .subscribe,
                Set(waiting[place + 1].names).isSuperset(of: request.names)
            else { return "subscription: \(request.names[0]) is given up, and not asked for anew" }
        }
        var last = Request(method: .subscribe, names: [])
        for request in pending {
            guard request.id > last.id && request.id < nextID else { return "subscription: request \(request.id) is behind \(last.id)" }
            guard request.sentNs >= last.sentNs else { return "subscription: request \(request.id) was sent before \(last.id)" }
            last = request
        }
        return nil
    }
}
