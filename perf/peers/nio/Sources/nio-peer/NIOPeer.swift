// Candles from the exchange to Redis as most who know SwiftNIO would write it: perf/peers/README.md says what it is for.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

@main
struct NIOPeer {
    static func main() async throws {
        let options = try Options(Array(CommandLine.arguments.dropFirst()))
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let pipeline = CandlePipeline(history: options.history)
        pipeline.redis = try await connectRedis(options, pipeline, on: loop)
        if let parent = options.parent {
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in if getppid() != parent { exit(1) } }
        }
        let exchange = try await connectExchange(options, pipeline, on: loop)
        try await exchange.closeFuture.get()
        // The pipeline ends the process when Redis has answered.
        while true { try await Task.sleep(for: .seconds(60)) }
    }

    private static func connectRedis(_ options: Options, _ pipeline: CandlePipeline, on loop: any EventLoop) async throws -> any Channel {
        let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(RedisReplyDecoder()))
                try channel.pipeline.syncOperations.addHandler(RedisReplies(pipeline))
            }
        }
        let parts = options.redis.split(separator: ":")
        guard !options.redis.hasPrefix("/"), parts.count == 2, let port = Int(parts[1]) else {
            return try await bootstrap.connect(unixDomainSocketPath: options.redis).get()
        }
        return try await bootstrap.connect(host: String(parts[0]), port: port).get()
    }

    private static func connectExchange(_ options: Options, _ pipeline: CandlePipeline, on loop: any EventLoop) async throws -> any Channel
    {
        let upgrade: EventLoopFuture<Void> = try await ClientBootstrap(group: loop)
            .connect(host: options.venueHost, port: options.venuePort) { channel in
                channel.eventLoop.makeCompletedFuture {
                    pipeline.exchange = channel
                    let upgrader = NIOTypedWebSocketClientUpgrader<Void> { channel, _ in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(ExchangeHandler(pipeline))
                        }
                    }
                    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/stream")
                    head.headers.add(name: "Host", value: "\(options.venueHost):\(options.venuePort)")
                    let configuration = NIOUpgradableHTTPClientPipelineConfiguration(
                        upgradeConfiguration: NIOTypedHTTPClientUpgradeConfiguration(
                            upgradeRequestHead: head, upgraders: [upgrader],
                            notUpgradingCompletionHandler: { channel in
                                channel.eventLoop.makeCompletedFuture { pipeline.fail("the exchange does not upgrade") }
                            }))
                    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: configuration)
                }
            }
        try await upgrade.get()
        let channel = try await loop.submit { pipeline.exchange! }.get()
        try await subscribe(channel, options)
        return channel
    }

    /// Streams are asked for when the upgrade is over: frames that come on the heels of its answer, as they do with streams
    /// in the URL of an exchange that is flat out, do not all survive the hand-over from HTTP.
    private static func subscribe(_ channel: any Channel, _ options: Options) async throws {
        let streams = options.streams
        for (id, first) in stride(from: 0, to: streams.count, by: streamsPerRequest).enumerated() {
            let request = SubscribeRequest(params: Array(streams[first...].prefix(streamsPerRequest)), id: id)
            let json = try JSONEncoder().encode(request)
            try await channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: ByteBuffer(bytes: json)))
        }
    }

    private static let streamsPerRequest = 100
}
