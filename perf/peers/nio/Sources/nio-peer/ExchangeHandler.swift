// Frames of the exchange: text goes to the pipeline, pings are answered.

import NIOCore
import NIOWebSocket

final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let pipeline: CandlePipeline

    init(_ pipeline: CandlePipeline) { self.pipeline = pipeline }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text: pipeline.onMessage(frame.unmaskedData)
        case .ping:
            let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
            context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
        case .connectionClose: context.close(promise: nil)
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { pipeline.flush() }
    func channelInactive(context: ChannelHandlerContext) { pipeline.onExchangeEnd() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { pipeline.fail("the exchange: \(error)") }
}
