// What lies between threads: mailboxes and locks.

import FastFeed
import Glibc
import Testing

struct MailboxTests {
    @Test func keepsOrderAndBound() {
        let mailbox = Mailbox<Int>(capacity: 100)
        #expect(!mailbox.isWaiting && mailbox.takeAll().isEmpty)
        for number in 0..<100 { #expect(mailbox.offer(number)) }
        #expect(mailbox.isWaiting)
        for number in 0..<3 { #expect(!mailbox.offer(number)) }
        #expect(mailbox.refusedCount == 3)
        #expect(mailbox.takeAll() == Array(0..<100))
        #expect(!mailbox.isWaiting)
        #expect(mailbox.offer(9) && mailbox.takeAll() == [9])
    }

    @Test func betweenThreads() throws {
        let mailbox = Mailbox<Int>(capacity: 1_000)
        let threads = try (0..<3).map { producer in
            try PinnedThread.start(name: "offer\(producer)") {
                for number in 0..<20_000 { while !mailbox.offer(producer * 1_000_000 + number) { Cores.pause() } }
            }
        }
        var next = [0, 0, 0]
        let deadlineNs = MonotonicClock.nowNs() + 60_000_000_000
        while next != [20_000, 20_000, 20_000] && MonotonicClock.nowNs() < deadlineNs {
            for message in mailbox.takeAll() {
                let producer = message / 1_000_000
                #expect(message % 1_000_000 == next[producer])
                next[producer] = message % 1_000_000 + 1
            }
        }
        for thread in threads { thread.join() }
        #expect(next == [20_000, 20_000, 20_000])
    }

    @Test func whoInsistsGetsRoomOrIsToldThatThereIsNone() throws {
        let mailbox = Mailbox<Int>(capacity: 1)
        #expect(mailbox.offer(1))
        #expect(!mailbox.offer(2, untilNs: MonotonicClock.nowNs() + 3_000_000))
        let refused = mailbox.refusedCount
        #expect(refused > 0)
        let taker = try PinnedThread.start(name: "taker") {
            while mailbox.refusedCount == refused { Cores.pause() }
            _ = mailbox.takeAll()
        }
        #expect(mailbox.offer(3, untilNs: .max) && mailbox.takeAll() == [3])
        taker.join()
    }

    /// The descriptor of a receiver that sleeps becomes readable with the first message, and not for one that is awake.
    @Test func wakesItsReceiver() throws {
        let receiver = try WakeUp()
        func isWoken() -> Bool {
            var entry = pollfd(fd: receiver.descriptorNumber, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }
        let mailbox = Mailbox<Int>(capacity: 1)
        receiver.willPark()
        #expect(mailbox.offer(1) && !isWoken())
        mailbox.setReceiver(receiver)
        #expect(!mailbox.offer(2) && !isWoken(), "what is refused wakes nobody")
        _ = mailbox.takeAll()
        #expect(mailbox.offer(3) && isWoken())
        receiver.drain()
        receiver.didPark()
        _ = mailbox.takeAll()
        #expect(mailbox.offer(4) && !isWoken())
    }

    @Test func aLockIsOneThreadsAtATime() throws {
        let sum = Lock((count: 0, owners: 0, most: 0))
        let threads = try (0..<4).map { number in
            try PinnedThread.start(name: "lock\(number)") {
                for _ in 0..<20_000 {
                    sum.withLock {
                        $0.owners += 1
                        $0.most = max($0.most, $0.owners)
                        $0.count += 1
                        $0.owners -= 1
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(sum.withLock { $0.count } == 80_000)
        #expect(sum.withLock { $0.most } == 1)
    }

    /// What a body throws comes out, and the lock is free again.
    @Test func aLockIsFreeAfterAnError() {
        let lock = Lock(1)
        #expect(throws: SystemError.self) { try lock.withLock { _ throws(SystemError) in throw SystemError("no") } }
        #expect(lock.withLock { $0 } == 1)
    }
}
