// One connection's state: bytes in, bytes out, what it is subscribed to, when it was last heard. Owned by
// the simulator's thread.

import FastFeed
import Glibc

final class Peer {
    enum Phase {
        case securing, http, webSocket
        /// A close frame is out; what comes is ignored until the peer ends TCP or the time is up.
        case closing
        /// Fault: open, but neither read nor written any more.
        case silent
    }

    /// What follows once the output buffer is empty.
    enum Ending {
        case none
        /// TCP ends in order.
        case drop
        case reset
    }

    struct LateEvent {
        let dueMs: Int64
        /// Those of its stream behind it wait, too.
        let holdsStream: Bool
        let stream: Int
        /// Place of a closed candle in the truth log; −1 for a bar in progress.
        let truthSequence: Int64
        let text: [UInt8]
    }

    let slot: Int
    let generation: UInt32
    /// Counts from 1 in the order of acceptance.
    let number: Int
    let address: String
    let acceptedMs: Int64
    var transport: Transport
    // Unchecked, here and below: appended to for every frame. Only the simulator's thread touches a peer, and
    // the fan-out never calls back while it holds one.
    @safe @exclusivity(unchecked) var output: OutputBuffer
    var decoder: FrameDecoder
    var phase: Phase
    var ending = Ending.none
    var interest: Readiness = .readable
    /// Received and not yet understood HTTP.
    var input: [UInt8] = []

    // WebSocket.
    var session: ControlSession?
    var unit = TimeUnit.millisecond
    var isCombined = false
    var rate: MessageRate
    /// Indexes of the streams this peer hears.
    var streams: Set<Int> = []
    var isDirty = false
    /// More waits to be written than the bound allows; the connection is to be closed.
    var isOverfull = false
    /// Fault: half of the next frame, then the end.
    var cutsNextFrame = false { didSet { noteDisturbance() } }
    /// Some fault is yet to be carried out on its frames: one look for the fan-out.
    private(set) var isDisturbed = false
    var hasShutdownNotice = false
    var nextPingMs: Int64 = 0
    /// Payloads of pings not yet answered, oldest first.
    var openPings: [(payload: [UInt8], sentMs: Int64)] = []
    var closeDeadlineMs = Int64.max
    /// Texts to be sent later: delayed replies and responses.
    var delayed: [(dueMs: Int64, bytes: [UInt8], isFrame: Bool)] = []
    /// The delayed response is the connection's last.
    var endsAfterDelayed = false
    /// Held closed events (fault): sent after the next event of their stream.
    var heldEvents: [Int: (text: [UInt8], truthSequence: Int64)] = [:] { didSet { noteDisturbance() } }
    /// Events overtaken by others (fault).
    var lateEvents: [LateEvent] = [] { didSet { noteDisturbance() } }
    /// Fault: nothing is written before.
    var stalledUntilMs: Int64 = 0

    /// Closed candles in the buffer: their place in the truth and where their frames end.
    @safe @exclusivity(unchecked) var marks: [(sequence: Int64, end: Int64)] = []
    private var marksTaken = 0
    /// Counted as delivered lately; a reset takes them back.
    var recent: [(sequence: Int64, atMs: Int64)] = []

    init(
        slot: Int, generation: UInt32, number: Int, socket: Int32, address: String, configuration: SimulatorConfiguration, nowMs: Int64
    ) {
        self.slot = slot
        self.generation = generation
        self.number = number
        self.address = address
        acceptedMs = nowMs
        transport = .accepted(socket)
        output = OutputBuffer(bytesMax: configuration.outputBufferBytesMax)
        var options = FrameDecoder.Options()
        options.role = .server
        decoder = FrameDecoder(options)
        phase = configuration.usesTLS ? .securing : .http
        rate = MessageRate(perSecondMax: configuration.clientMessagesMax)
    }

    private func noteDisturbance() { isDisturbed = cutsNextFrame || !heldEvents.isEmpty || !lateEvents.isEmpty }

    /// True when the other side has ended TCP. Only asked of those who are not read.
    func hasGone() -> Bool {
        let readHangUp: Int16 = 0x2000
        var entry = pollfd(fd: transport.number, events: readHangUp, revents: 0)
        return unsafe poll(&entry, 1, 0) > 0 && entry.revents != 0
    }

    /// True when events may be sent to it.
    var isListening: Bool { phase == .webSocket && ending == .none }

    func sendFrame(_ opcode: FrameOpcode, _ payload: [UInt8]) {
        if unsafe !output.appendFrame(opcode, payload.span.bytes) { isOverfull = true }
    }

    /// Candles whose frames went out completely since the last call.
    func takeDelivered(nowMs: Int64, graceMs: Int64, _ deliver: (Int64) -> Void) {
        let flushed = output.flushed
        while marksTaken < marks.count, marks[marksTaken].end <= flushed {
            deliver(marks[marksTaken].sequence)
            recent.append((marks[marksTaken].sequence, nowMs))
            marksTaken += 1
        }
        if marksTaken == marks.count || marksTaken > 4_096 {
            marks.removeFirst(marksTaken)
            marksTaken = 0
        }
        if let oldest = recent.first, oldest.atMs < nowMs - 2 * graceMs - 100 {
            let fresh = recent.firstIndex { $0.atMs >= nowMs - graceMs } ?? recent.count
            recent.removeFirst(fresh)
        }
    }

    /// The kernel will send RST instead of FIN when the socket is closed.
    func armReset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(transport.number, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}
