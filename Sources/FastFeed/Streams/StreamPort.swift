// What an agent may do on the streams' thread, and its own connection. That thread's alone.
//
// The connection is opened for the first read and stays; one that is lost is made anew when a read waits for it, at once and then with
// pauses. A read that is not answered in `Limits.streamSilenceMs` has a dead connection.

import Glibc

/// An agent's way to Redis: commands on the shared connection, reads that wait on a connection of its own.
final class StreamPort {
    private struct Read {
        let bytes: [UInt8]
        /// Of a batch: how many replies; nil for one command.
        let replies: Int?
        let tag: UInt64
    }

    let seat: StreamSeat
    private unowned let loop: StreamLoop
    private let reader: RedisPipeline
    /// A read that waits for the connection.
    private var waiting: Read?
    /// A read that was sent.
    private var sent: Read?
    /// Of the reads that were sent; an answer to CLIENT UNBLOCK belongs to one of them.
    private var readNumber: UInt64 = 0
    private var retryAtNs: UInt64 = 0
    private var backoff = Backoff(Limits.streamBackoffMs, seed: SystemRandom.word())
    /// When CLIENT UNBLOCK is sent again: it may have been faster than the read.
    private var unblockAtNs = UInt64.max
    private var isUnblocked = false
    private var mayUnblock = true
    /// A read that was unblocked before it was sent.
    private var isCalledOff = false
    private(set) var isGone = false
    /// The poll has something of the connection.
    var isReady = false
    /// Something has come for the agent: it is turned.
    var isTouched = true
    /// When it is turned because there was no room.
    private var againNs = UInt64.max

    init(_ seat: StreamSeat, _ loop: StreamLoop, _ reader: RedisPipeline) { (self.seat, self.loop, self.reader) = (seat, loop, reader) }

    // MARK: For agents

    /// The shared connection stands and has room. False: `send` does nothing.
    var canSend: Bool { loop.hasRoom(for: 64 << 10) }
    /// Grows with each shared connection that is made: what an earlier one was asked is answered or lost.
    var epoch: UInt64 { loop.epoch }
    /// A read was sent or waits for its connection, and has not been answered.
    var isReading: Bool { waiting != nil || sent != nil || isCalledOff }
    /// The clock, read once a turn.
    var nowNs: UInt64 { loop.nowNs }

    /// Puts commands on the shared connection, in one write, behind what was put there before. The replies come to `onReply` with the tag,
    /// all at once. False: it does not stand or is full, nothing was sent (`onOpen` comes, or the next turn after 10 ms).
    func send(_ batch: StreamBatch, tag: UInt64) -> Bool {
        guard !isGone else { return false }
        if loop.send(batch, for: self, tag: tag) { return true }
        if loop.isReady { againNs = nowNs + .ns(ms: 10) }
        return false
    }

    /// Puts a read on the agent's own connection, which is opened for it; while that takes, or when it fails, the read waits, and goes out
    /// as soon as it stands. One at a time. A connection that is lost under a read loses the read (`onLost`).
    /// - Parameter command: has at most `Limits.streamBlockMs` behind BLOCK.
    func read(_ command: StreamCommand, tag: UInt64) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(command.arguments.count + 16)
        command.write(to: &bytes)
        begin(Read(bytes: bytes, replies: nil, tag: tag))
    }

    /// The same for commands that do not wait; their replies come to `onRead` as an array with one element a command.
    func read(_ batch: StreamBatch, tag: UInt64) { begin(Read(bytes: batch.bytes, replies: batch.count, tag: tag)) }

    private func begin(_ read: Read) {
        precondition(!isReading, "one read at a time")
        guard !isGone else { return }
        waiting = read
        (isUnblocked, unblockAtNs) = (false, .max)
        sendWaiting()
    }

    /// Ends a read that waits with CLIENT UNBLOCK: its reply comes at once and is null, or whatever had come; a read that was not sent yet
    /// ends with a loss. False: it cannot be ended (no right to, or the shared connection does not stand); it ends by itself after its
    /// BLOCK.
    @discardableResult
    func unblock() -> Bool {
        if waiting != nil {
            (waiting, isCalledOff, isTouched) = (nil, true, true)
            return true
        }
        guard sent != nil else { return true }
        guard mayUnblock, reader.clientID != nil else { return false }
        guard !isUnblocked else { return true }
        isUnblocked = askUnblock()
        if !isUnblocked { unblockAtNs = loop.nowNs + .ns(ms: 100) }
        return isUnblocked
    }

    /// Ends the agent's own connection; a read under way is lost without a word.
    func closeReader() {
        (waiting, sent, isCalledOff, unblockAtNs) = (nil, nil, false, .max)
        reader.close()
    }

    /// Who waited for what was handed on just now, and is a task of this thread, takes it before anything more is sent.
    func runTasks() { loop.runTasks() }

    /// Leaves the thread: the same as `StreamCore.detach`.
    func leave() { loop.core.detach(seat) }

    // MARK: For the loop

    func end() {
        isGone = true
        closeReader()
    }

    var pollEntry: pollfd { reader.pollEntry }

    var dueNs: UInt64 {
        if isTouched || isCalledOff { return 0 }
        let own = waiting != nil && reader.isClosed ? retryAtNs : reader.dueNs
        return min(own, silentUntilNs, unblockAtNs, againNs, seat.agent.dueNs)
    }

    /// As the shared connection has it: a Redis that stalls loses neither.
    private var silentUntilNs: UInt64 { sent == nil ? .max : reader.heardNs + .ns(ms: Limits.streamSilenceMs) }

    /// The next attempt needs no pause: the shared connection has found the server.
    func tryNow() { retryAtNs = 0 }

    /// Goes on with the connection and takes what has come.
    func turnReader(nowNs: UInt64) {
        if isCalledOff {
            (isCalledOff, isTouched) = (false, true)
            seat.agent.onLost(self, .reader, "called off")
        }
        if waiting != nil, reader.isClosed, nowNs >= retryAtNs {
            reader.open(nowNs: nowNs)
            isReady = true
        }
        // Before it is taken for silent, too: it may be we who have not listened.
        if isReady || nowNs >= min(silentUntilNs, reader.dueNs) { hear(nowNs) }
        if nowNs >= silentUntilNs { take(reader.lose("Redis does not answer a read any more"), nowNs) }
        if nowNs >= againNs { (againNs, isTouched) = (.max, true) }
        if nowNs >= unblockAtNs { unblockAtNs = askUnblock() ? .max : nowNs + .ns(ms: 100) }
    }

    private func hear(_ nowNs: UInt64) {
        isReady = false
        while true {
            let event = reader.next(nowNs: nowNs)
            if case .nothing = event { return }
            take(event, nowNs)
            if isGone { return }
        }
    }

    private func take(_ event: RedisPipeline.Event, _ nowNs: UInt64) {
        isTouched = true
        switch event {
        case .nothing: break
        case .opened:
            backoff.succeeded()
            mayUnblock = true
            seat.agent.onOpen(self, .reader)
            sendWaiting()
        case .reply(let block):
            guard let read = sent else { return }
            (sent, unblockAtNs) = (nil, .max)
            seat.agent.onRead(self, tag: read.tag, block)
        case .lost(let reason, _):
            (sent, unblockAtNs) = (nil, .max)
            retryAtNs = nowNs + backoff.nextDelayNs()
            seat.agent.onLost(self, .reader, reason)
        }
    }

    private func sendWaiting() {
        guard let read = waiting, reader.isReady else { return }
        reader.send(read.bytes, replies: read.replies, nowNs: loop.nowNs)
        reader.flush()
        (waiting, sent) = (nil, read)
        readNumber += 1
    }

    private func askUnblock() -> Bool {
        guard let clientID = reader.clientID, sent != nil else { return false }
        var command = StreamCommand("CLIENT", "UNBLOCK")
        command.append(clientID)
        return loop.sendUnblock(StreamBatch(command), for: self, read: readNumber)
    }

    /// Redis has answered CLIENT UNBLOCK: 1, or 0 when the connection did not wait, perhaps not yet.
    func onUnblock(_ reply: ReplyNode, read: UInt64) {
        guard read == readNumber, sent != nil, !isGone else { return }
        if reply.kind == .error {
            mayUnblock = false
        } else if reply.integer == 0 {
            unblockAtNs = loop.nowNs + .ns(ms: 5)
        }
    }
}
