// A consumer on the streams' thread: carries out what its machine wants, and tells it what has come. That thread's alone.
//
// While there is a backlog, the next read and the acknowledgements go out in one write before the messages that have come are handed on; so
// Redis, this thread and the tasks work at the same time.

final class ConsumerAgent: StreamAgent, @unchecked Sendable {
    private let desk: ConsumerDesk
    private let words: ConsumerWords
    // Touched by the streams' thread alone.
    private var machine: ConsumerMachine
    private(set) var dueNs: UInt64 = 0
    /// What is not answered on the shared connection, oldest first.
    private var sent: ArraySlice<(tag: UInt64, commands: [ConsumerCommand])> = []
    private var lastTag: UInt64 = 0
    /// The read that waits.
    private var reading: ConsumerCommand?
    private var isShared = false, isReader = false
    /// Whatever was made of it stays connected until this is over.
    private var streams: RedisStreams?

    init(_ desk: ConsumerDesk, _ words: ConsumerWords, _ settings: ConsumerMachine.Settings, _ streams: RedisStreams) {
        (self.desk, self.words, self.streams) = (desk, words, streams)
        machine = ConsumerMachine(settings)
    }

    // MARK: Turns

    func turn(_ port: StreamPort, nowNs: UInt64) {
        guard machine.stage != .over else { return }
        let news = desk.takeNews()
        machine.want(news.isWanted, nowNs)
        if !news.acks.isEmpty { machine.acknowledge(news.acks, nowNs) }
        for (slot, outcome) in news.settled { machine.settle(Int(slot), outcome, nowNs) }
        if let deadlineNs = news.stopDeadlineNs { machine.stop(deadlineNs, nowNs) }
        var isAgain = true
        while isAgain { isAgain = carryOut(machine.turn(nowNs, canSend: port.canSend), port, nowNs) }
        dueNs = machine.dueNs(canSend: port.canSend)
        // `onOpen` comes.
        if !isShared, dueNs < nowNs + .ns(ms: 100) { dueNs = nowNs + .ns(ms: 100) }
    }

    /// True when the machine has to look again.
    private func carryOut(_ turn: ConsumerTurn, _ port: StreamPort, _ nowNs: UInt64) -> Bool {
        if !turn.hasBacklog {
            handOn(turn)
            if !turn.deliveries.isEmpty { port.runTasks() }
        }
        send(turn.commands, port, nowNs)
        if let read = turn.read {
            reading = read
            lastTag += 1
            port.read(words.command(read), tag: lastTag)
        }
        if turn.unblocks { _ = port.unblock() }
        if turn.hasBacklog { handOn(turn) }
        if turn.withdrawsAll {
            for slot in desk.withdraw(nil) { machine.settle(slot, .returned, nowNs) }
        } else if !turn.withdrawn.isEmpty {
            for slot in desk.withdraw(turn.withdrawn) { machine.withdrawn(slot) }
        }
        if turn.isOver {
            desk.end(turn.error, machine.counters)
            port.leave()
            streams = nil
        }
        return turn.withdrawsAll
    }

    private func handOn(_ turn: ConsumerTurn) {
        desk.put(turn.deliveries, turn.gone, machine.counters, isThreadComing: machine.isTurnNear)
    }

    private func send(_ commands: [ConsumerCommand], _ port: StreamPort, _ nowNs: UInt64) {
        guard !commands.isEmpty else { return }
        lastTag += 1
        var batch = StreamBatch()
        for command in commands { batch.append(words.command(command)) }
        if port.send(batch, tag: lastTag) {
            sent.append((lastTag, commands))
        } else {
            for command in commands { machine.answered(command, .lost, nowNs) }
        }
    }

    // MARK: What comes

    func onReply(_ port: StreamPort, tag: UInt64, _ replies: ReplyBlock) {
        guard let first = sent.first, first.tag == tag else { return }
        sent.removeFirst()
        let answers = replies.root.children
        for (place, command) in first.commands.enumerated() {
            let answer = place < answers.count ? words.answer(answers[place], to: command) : .strange
            machine.answered(command, answer, port.nowNs)
        }
    }

    func onRead(_ port: StreamPort, tag: UInt64, _ reply: ReplyBlock) {
        guard let command = reading else { return }
        reading = nil
        machine.answered(command, words.answer(reply.root, to: command), port.nowNs)
    }

    func onOpen(_ port: StreamPort, _ line: StreamLine) {
        switch line {
        case .shared: isShared = true
        case .reader: isReader = true
        }
    }

    func onLost(_ port: StreamPort, _ line: StreamLine, _ reason: String) {
        let nowNs = port.nowNs
        switch line {
        case .shared:
            let lost = sent
            sent = []
            for command in lost.flatMap(\.commands) { machine.answered(command, .lost, nowNs) }
            if isShared { machine.lost(nowNs) }
            isShared = false
        case .reader:
            // A read that waits for its connection goes on waiting.
            if !port.isReading, let command = reading {
                reading = nil
                machine.answered(command, .lost, nowNs)
            }
            if isReader { machine.lost(nowNs) }
            isReader = false
        }
    }

    func onClose() {
        desk.end(.closed, machine.counters)
        streams = nil
    }
}
