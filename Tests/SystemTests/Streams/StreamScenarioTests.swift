// Scenarios of a guide to Redis Streams, typed as they stand there (its ids are those of its own server: ours answers with others), and
// what the library makes of them.

import FastFeed
import Foundation
import RedisServer
import TestKit
import Testing

@Suite("Streams: scenarios", .serialized, .streamLimit)
struct StreamScenarioTests {
    /// Types commands as one does at redis-cli: a line each, words in double quotes, `#` begins a remark.
    /// - Returns: the answers.
    @discardableResult
    private func type(_ rig: StreamRig, _ text: String) throws -> [RedisReply] {
        try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let words = line.matches(of: /"([^"]*)"|(\S+)/).map { String($0.1 ?? $0.2 ?? "") }
            let reply = try rig.admin.command(words)
            if case .error(let text) = reply { throw FeedError(.redis, "\(line): \(text)") }
            return reply
        }
    }

    private func ids(_ replies: [RedisReply]) -> [StreamID] { replies.compactMap { $0.text.flatMap { StreamID($0) } } }

    @Test("Logs of an application")
    func applicationLogs() async throws {
        let rig = try await StreamRig()
        let ids = ids(
            try type(
                rig,
                """
                XADD app_logs * level "INFO" message "User logged in" user_id "123"
                XADD app_logs * level "ERROR" message "Database connection failed" service "auth"
                XADD app_logs * level "WARNING" message "High memory usage" memory_percent "85"
                """))
        let logs = rig.streams["app_logs"]
        let all = try await logs.range()
        #expect(all.map(\.id) == ids && ids == ids.sorted() && Set(ids).count == 3)
        #expect(all[0].fields == ["level": "INFO", "message": "User logged in", "user_id": "123"])
        #expect(all.map { $0["level"] } == ["INFO", "ERROR", "WARNING"] && all[2]["memory_percent"] == "85" && all[0]["service"] == nil)
        #expect(try await logs.newest().map(\.id) == [ids[2]])
    }

    @Test("The events of an order, from an id on")
    func orderEvents() async throws {
        let rig = try await StreamRig()
        let ids = ids(
            try type(
                rig,
                """
                XADD order_events * event "order_created" order_id "ORD-001" customer_id "123" amount "99.99"
                XADD order_events * event "payment_received" order_id "ORD-001" payment_method "credit_card"
                XADD order_events * event "order_shipped" order_id "ORD-001" tracking_number "TRK-456"
                XADD order_events * event "order_delivered" order_id "ORD-001" delivery_date "2024-01-15"
                """))
        let events = rig.streams["order_events"]
        var read: [String] = []
        for try await event in events.follow(after: .after(ids[0])) {
            read.append(event["event"] ?? "")
            if read.count == 2 { break }
        }
        #expect(read == ["payment_received", "order_shipped"])
        #expect(try await events.range(from: ids[0].next, limit: 2).map { $0["event"] } == ["payment_received", "order_shipped"])
        // The last one of the day it was ordered.
        #expect(try await events.range(through: .last(in: ids[3].milliseconds)).last?["delivery_date"] == "2024-01-15")
    }

    @Test("Chat: two readers and moderation")
    func chat() async throws {
        let rig = try await StreamRig()
        try type(
            rig,
            """
            XADD chat:room1 * user "Alice" message "Hello!" timestamp "2024-01-15T10:30:00Z"
            XADD chat:room1 * user "Bob" message "Hi Alice!" timestamp "2024-01-15T10:30:15Z"
            # Consumer group pour modération
            XGROUP CREATE chat:room1 moderation_service 0
            """)
        let room = rig.streams["chat:room1"]
        let heard = [Shared<[String]>([]), Shared<[String]>([])]
        let readers = heard.map { heard in
            Task {
                for try await line in room.follow(after: .end) {
                    heard.withLock { $0.append("\(line["user"] ?? ""): \(line["message"] ?? "")") }
                    if heard.value.count == 1 { return }
                }
            }
        }
        try await eventually(10, "two readers that wait") { try rig.waiting() == 2 }
        try type(rig, "XADD chat:room1 * user \"Charlie\" message \"Good morning!\" timestamp \"2024-01-15T10:30:30Z\"")
        for reader in readers { try await reader.end() }
        #expect(heard.allSatisfy { $0.value == ["Charlie: Good morning!"] })
        let moderation = room.group("moderation_service")
        let first = try await moderation.read(as: "moderator1", limit: 1)
        #expect(first.map { $0["user"] } == ["Alice"])
        #expect(try await moderation.ack(first.map(\.id)) == 1)
        #expect(try await moderation.pending().count == 0)
        #expect(try await room.groups().map(\.lag) == [2])
    }

    @Test("A queue of tasks, two workers")
    func taskQueue() async throws {
        let rig = try await StreamRig()
        let ids = ids(
            try type(
                rig,
                """
                XADD task_queue * task_type "send_email" recipient "user@example.com" template "welcome"
                XADD task_queue * task_type "process_image" image_id "img_123" operation "resize"
                XADD task_queue * task_type "send_notification" user_id "456" message "Order confirmed"
                """))
        try type(rig, "XGROUP CREATE task_queue email_workers 0")
        let queue = rig.streams["task_queue"]
        let workers = queue.group("email_workers")
        #expect(try await queue.length() == 3)
        #expect(try await workers.read(as: "worker1", limit: 1).map { $0["task_type"] } == ["send_email"])
        #expect(try await workers.read(as: "worker2", limit: 1).map { $0["task_type"] } == ["process_image"])
        #expect(try await workers.ack([ids[0]]) == 1)
        let summary = try await workers.pending()
        #expect(summary.count == 1 && summary.min == ids[1] && summary.max == ids[1])
        #expect(try await workers.pending(of: "worker2").map(\.id) == [ids[1]])
        #expect(try await workers.pending(of: "worker1").isEmpty)
    }

    @Test("Metrics of the last minutes, and alerts")
    func metrics() async throws {
        let rig = try await StreamRig()
        let ids = ids(
            try type(
                rig,
                """
                XADD metrics * service "web_server" cpu_usage "45.2" memory_usage "1.2GB" timestamp "2024-01-15T10:30:00Z"
                XADD metrics * service "database" cpu_usage "78.5" memory_usage "4.8GB" timestamp "2024-01-15T10:30:00Z"
                XADD metrics * service "cache" cpu_usage "12.1" memory_usage "512MB" timestamp "2024-01-15T10:30:00Z"
                XGROUP CREATE metrics alert_system 0
                """))
        let metrics = rig.streams["metrics"]
        let now = ids[2].milliseconds
        let recent = try await metrics.range(from: StreamID(now - 300_000), through: .last(in: now))
        #expect(recent.map { $0["service"] } == ["web_server", "database", "cache"])
        #expect(try await metrics.range(from: StreamID(now - 600_000), through: StreamID(now - 300_000)).isEmpty)
        var alerts: [String] = []
        let processor = metrics.group("alert_system").consumer(as: "alert_processor", ConsumerOptions(prefetch: 5))
        var seen = 0
        for try await metric in processor {
            if Double(metric.entry["cpu_usage"] ?? "") ?? 0 > 75 { alerts.append(metric.entry["service"] ?? "") }
            metric.ack()
            seen += 1
            if seen == 3 { break }
        }
        await processor.stop()
        #expect(alerts == ["database"] && rig.pending("metrics", "alert_system") == 0)
    }

    @Test("Notifications for two services")
    func notifications() async throws {
        let rig = try await StreamRig()
        try type(
            rig,
            """
            XADD notifications * user_id "123" type "order_update" title "Order Shipped" body "Your order has been shipped"
            XADD notifications * user_id "456" type "promotion" title "50% Off Sale" body "Limited time offer"
            XADD notifications * user_id "123" type "reminder" title "Cart Reminder" body "You have items in your cart"
            XGROUP CREATE notifications push_service 0
            XGROUP CREATE notifications email_service 0
            """)
        let notifications = rig.streams["notifications"]
        let push = try await notifications.group("push_service").read(as: "push_worker", limit: 10)
        #expect(push.map { $0["title"] } == ["Order Shipped", "50% Off Sale", "Cart Reminder"])
        #expect(try await notifications.group("push_service").ack(push.map(\.id)) == 3)
        // What one has done, the other has still before it.
        let groups = try await notifications.groups()
        #expect(Set(groups.map(\.name)) == ["push_service", "email_service"])
        #expect(groups.first { $0.name == "email_service" }?.lag == 3 && groups.first { $0.name == "push_service" }?.lag == 0)
        let mail = try await notifications.group("email_service").read(as: "mail_worker")
        #expect(mail == push)
    }

    @Test("Orders: three groups that add what they have done and acknowledge")
    func orders() async throws {
        let rig = try await StreamRig()
        try type(
            rig,
            """
            XADD orders * order_id "12345" customer_id "user123" status "created" total "99.99"
            XGROUP CREATE orders payment_processor 0
            XGROUP CREATE orders inventory_manager 0
            XGROUP CREATE orders notification_service 0
            """)
        let orders = rig.streams["orders"]
        func step(_ group: String, _ added: StreamFields?) async throws {
            let entries = try await orders.group(group).read(as: "worker1", limit: 1)
            #expect(entries.map { $0["status"] } == ["created"], "\(group)")
            if let added { _ = try await orders.add(added) }
            #expect(try await orders.group(group).ack(entries.map(\.id)) == 1)
        }
        try await step("payment_processor", ["order_id": "12345", "status": "payment_processed", "payment_method": "credit_card"])
        try await step("inventory_manager", ["order_id": "12345", "status": "inventory_reserved", "warehouse": "EU-WEST"])
        try await step("notification_service", nil)
        #expect(try await orders.range().map { $0["status"] } == ["created", "payment_processed", "inventory_reserved"])
        for group in try await orders.groups() { #expect(group.pending == 0 && group.lag == 2, "\(group.name)") }
    }

    @Test("Logs of three services, one group")
    func logsOfServices() async throws {
        let rig = try await StreamRig()
        try type(
            rig,
            """
            XADD logs:auth * level "INFO" message "User login" user_id "123"
            XADD logs:api * level "ERROR" message "Database timeout" query "SELECT * FROM users"
            XADD logs:worker * level "DEBUG" message "Processing job" job_id "456"
            XGROUP CREATE logs:auth log_analyzer 0
            XGROUP CREATE logs:api log_analyzer 0
            XGROUP CREATE logs:worker log_analyzer 0
            """)
        let keys = ["logs:auth", "logs:api", "logs:worker"]
        let analyzer = rig.streams.consumer(group: "log_analyzer", of: keys, as: "analyzer")
        var levels: [String: String] = [:]
        for try await line in analyzer {
            levels[line.entry.key] = line.entry["level"]
            line.ack()
            if levels.count == 3 { break }
        }
        await analyzer.stop()
        #expect(levels == ["logs:auth": "INFO", "logs:api": "ERROR", "logs:worker": "DEBUG"])
        for key in keys { #expect(rig.pending(key, "log_analyzer") == 0) }
    }
}
