// A concrete driver for the benchmarks, inside the module: frames out of a long byte stream that comes in reads of a
// given size, so that most reads end in the middle of a frame. One thread.

package enum FrameBench {
    /// Decodes the stream `rounds` times. The last read ends with the last frame.
    /// - Returns: the thread's CPU nanoseconds and the messages found; nil when the stream is refused.
    @inline(never)
    package static func run(_ stream: [UInt8], readBytes: Int, rounds: Int) -> (cpuNs: UInt64, messages: Int)? {
        let memory = PaddedBuffer(count: stream.count)
        memory.write(stream.span)
        var options = FrameDecoder.Options()
        options.checksTextInPlace = false  // as the readers have it: the parser checks
        var decoder = FrameDecoder(options)
        var messages = 0
        var check = 0
        let startNs = ThreadClock.nowNs()
        for _ in 0..<rounds {
            var place = 0
            while place < stream.count {
                let count = min(readBytes, stream.count - place)
                decoder.supply(memory, from: place, count: count)
                place += count
                window: while true {
                    switch decoder.takeEvent() {
                    case .message(_, let payload):
                        messages &+= 1
                        check &+= payload.count
                    case .needMore: break window
                    default: return nil
                    }
                }
            }
        }
        let cpuNs = ThreadClock.nowNs() - startNs
        return check > 0 && !decoder.isMidMessage ? (cpuNs, messages) : nil
    }
}
