// The testee of the Autobahn WebSocket suite: asks the fuzzing server for its cases and echoes whatever each
// of them sends, through the project's own `WebSocketClient`. `scripts/autobahn.sh` runs it and judges.

import FastFeed

@main
enum Testee {
    static func main() throws {
        guard CommandLine.arguments.count == 3 else {
            print("usage: autobahn-testee BASE_URL AGENT, as in: autobahn-testee ws://127.0.0.1:9001 FastFeed")
            return
        }
        let (base, agent) = (CommandLine.arguments[1], CommandLine.arguments[2])
        var options = WebSocketClient.Options()
        // Section 9 sends messages of 16 MiB.
        options.messageBytesMax = 16 << 20
        let counter = try WebSocketClient.connect(url: base + "/getCaseCount", options: options)
        guard case .text(let text)? = try counter.receive(timeout: .seconds(10)), let count = Int(String(decoding: text, as: UTF8.self))
        else {
            throw FeedError(.webSocket, "the server does not say how many cases there are")
        }
        counter.close()
        for number in 1...max(count, 1) {
            do {
                try echo("\(base)/runCase?case=\(number)&agent=\(agent)", options)
            } catch {
                print("case \(number): \(error)")
            }
        }
        let reports = try WebSocketClient.connect(url: "\(base)/updateReports?agent=\(agent)", options: options)
        _ = try reports.receive(timeout: .seconds(30))
    }

    private static func echo(_ url: String, _ options: WebSocketClient.Options) throws {
        let client = try WebSocketClient.connect(url: url, options: options)
        while let message = try client.receive(timeout: .seconds(120)) {
            switch message {
            case .text(let bytes): try client.send(text: bytes)
            case .binary(let bytes): try client.send(binary: bytes)
            case .closed: return
            }
        }
        client.close()
    }
}
