// Handlers for a consumer's messages, several at a time. Any task.

extension StreamConsumer {
    /// Hands each message to a handler, and acknowledges it when the handler returns (and has not answered it itself). When the handler
    /// throws, the message comes again after 1 s, then with doubled pauses up to 30 s. Returns when the consumer is stopped, or the task
    /// cancelled; its handlers have returned then.
    /// - Parameters:
    ///   - parallel: handlers at a time, 1 to 10,000.
    ///   - key: messages with the same text are handled one after the other, by their ids: also a message that fails holds up those behind
    ///     it, until it is done, or with the dead letters. Others go on. One such `run` of a consumer at a time. What another consumer
    ///     takes over, because this one was away for `claimAfter`, it handles by itself.
    ///   - handle: called with one message.
    public func run(
        parallel: Int = 1, orderedBy key: (@Sendable (StreamMessage) -> String)? = nil,
        _ handle: @escaping @Sendable (StreamMessage) async throws -> Void
    ) async throws(StreamError) {
        guard Limits.consumerParallel.contains(parallel) else {
            throw .badArgument("\(parallel) handlers at a time; 1 to \(Limits.consumerParallel.upperBound) are possible")
        }
        let error: StreamError?
        if let key {
            error = await runInOrder(parallel, key, handle)
        } else {
            error = await withTaskGroup(of: StreamError?.self) { group in
                for _ in 0..<parallel {
                    group.addTask { await self.work(handle) }
                }
                return await group.reduce(nil) { $0 ?? $1 }
            }
        }
        if let error { throw error }
    }

    private func work(_ handle: @Sendable (StreamMessage) async throws -> Void) async -> StreamError? {
        var messages = makeAsyncIterator()
        do throws(StreamError) {
            while let message = try await messages.next(isolation: nil) { await StreamConsumer.handle(message, handle) }
            return nil
        } catch {
            return error
        }
    }

    private static func handle(_ message: StreamMessage, _ handle: @Sendable (StreamMessage) async throws -> Void) async {
        do {
            try await handle(message)
            message.ack()
        } catch {
            message.fail("\(error)", retryAfter: pause(message.deliveries))
        }
    }

    /// The pause behind a failed delivery.
    static func pause(_ deliveries: Int) -> Duration {
        let doubled = Limits.retryPauseMs.lowerBound << UInt64(Swift.min(Swift.max(deliveries - 1, 0), 16))
        return .milliseconds(Swift.min(doubled, Limits.retryPauseMs.upperBound))
    }

    // MARK: In order

    private func runInOrder(
        _ parallel: Int, _ key: @escaping @Sendable (StreamMessage) -> String,
        _ handle: @escaping @Sendable (StreamMessage) async throws -> Void
    ) async -> StreamError? {
        let lanes = ConsumerLanes(keys)
        desk.wantGone()
        return await withTaskGroup(of: StreamError?.self) { group in
            group.addTask {
                let error = await self.feed(lanes, key)
                lanes.finish()
                return error
            }
            for _ in 0..<parallel {
                group.addTask {
                    while let job = await lanes.next() {
                        await StreamConsumer.handle(job.message, handle)
                        lanes.done(job)
                    }
                    return nil
                }
            }
            return await group.reduce(nil) { $0 ?? $1 }
        }
    }

    /// Puts what comes onto its lanes.
    private func feed(_ lanes: ConsumerLanes, _ key: @Sendable (StreamMessage) -> String) async -> StreamError? {
        let iteration = ConsumerIteration(self)
        defer { withExtendedLifetime(iteration) {} }
        do throws(StreamError) {
            try start()
        } catch {
            return error
        }
        while true {
            switch await desk.next() {
            case .over(let error): return error
            case .gone(let gone): lanes.forget(gone)
            case .batch(let batch):
                while !Task.isCancelled, let delivery = batch.take() {
                    let message = StreamMessage(delivery, desk)
                    lanes.add(message, key(message))
                }
                if Task.isCancelled { return nil }
            }
        }
    }
}
