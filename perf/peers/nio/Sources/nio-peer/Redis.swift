// Redis over a plain NIO channel: commands are written into a buffer, replies are taken apart by a ByteToMessageDecoder.

import NIOCore

extension ByteBuffer {
    mutating func writeCommand(_ arguments: [String]) {
        writeString("*\(arguments.count)\r\n")
        for argument in arguments {
            writeString("$\(argument.utf8.count)\r\n")
            writeString(argument)
            writeString("\r\n")
        }
    }
}

enum RedisReply {
    case text(String)
    case error(String)
}

/// Status, error, integer and bulk string: all that our commands are answered with.
struct RedisReplyDecoder: ByteToMessageDecoder {
    typealias InboundOut = RedisReply

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        let view = buffer.readableBytesView
        guard let end = view.firstIndex(of: UInt8(ascii: "\n")) else { return .needMoreData }
        var line = buffer
        let text = line.readString(length: end - view.startIndex - 1)!
        line.moveReaderIndex(forwardBy: 2)
        let body = String(text.dropFirst())
        var reply: RedisReply
        switch text.first {
        case "-": reply = .error(body)
        case "$":
            guard let count = Int(body), count >= 0 else { reply = .text(""); break }
            guard let content = line.readString(length: count), line.readableBytes >= 2 else { return .needMoreData }
            line.moveReaderIndex(forwardBy: 2)
            reply = .text(content)
        case "+", ":": reply = .text(body)
        default: reply = .error("not a reply: \(text)")
        }
        buffer = line
        context.fireChannelRead(wrapInboundOut(reply))
        return .continue
    }
}

/// Counts replies. While Redis's socket is full, nothing is read from the exchange.
final class RedisReplies: ChannelInboundHandler {
    typealias InboundIn = RedisReply

    private let pipeline: CandlePipeline

    init(_ pipeline: CandlePipeline) { self.pipeline = pipeline }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .text: pipeline.onReply()
        case .error(let text): pipeline.fail("Redis: \(text)")
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pipeline.exchange?.setOption(.autoRead, value: context.channel.isWritable).whenFailure { [pipeline] in pipeline.fail("\($0)") }
    }

    func channelInactive(context: ChannelHandlerContext) { pipeline.fail("Redis has ended the connection") }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { pipeline.fail("Redis: \(error)") }
}
