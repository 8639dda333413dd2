// What a consumer asks of Redis, what comes back, and what else it wants of its agent. Plain values; streams are numbers here, by their
// place among the consumer's keys.

package enum ConsumerCommand: Equatable, Sendable {
    /// XACK of messages in hand. Of `forgiven` of them it is known that Redis may not have them any more.
    case ack(key: Int, ids: [StreamID], slots: [Int], forgiven: Int)
    /// XACK of pending ids whose entries are gone.
    case ackVanished(key: Int, ids: [StreamID])
    /// XREADGROUP of what is new in all streams, `count` of each; without `blockMs` it does not wait.
    case fresh(count: Int, blockMs: Int?)
    /// XREADGROUP of what is this consumer's already, behind an id. Counts the deliveries up.
    case history(key: Int, after: StreamID, count: Int)
    /// XPENDING of this consumer, behind an id: what is assigned to it.
    case assigned(key: Int, after: StreamID, count: Int)
    /// XPENDING of this consumer: how often what has just come was delivered.
    case counts(key: Int, from: StreamID, through: StreamID, count: Int)
    /// XRANGE of one id.
    case fetch(key: Int, row: PendingRow)
    /// XAUTOCLAIM from a cursor on.
    case claim(key: Int, from: StreamID, count: Int)
    case hold(ConsumerHold)
    case bury(key: Int, slot: Int, id: StreamID, deliveries: Int, reason: String)
    case makeGroup(key: Int, seen: StreamID?)
    case forget(key: Int)
    case clean(key: Int)

    /// The one stream that it is about; nil: all of them.
    var key: Int? {
        switch self {
        case .fresh: nil
        case .ack(let key, _, _, _), .ackVanished(let key, _), .history(let key, _, _), .assigned(let key, _, _), .counts(let key, _, _, _),
            .fetch(let key, _), .claim(let key, _, _), .bury(let key, _, _, _, _), .makeGroup(let key, _), .forget(let key),
            .clean(let key):
            key
        case .hold(let hold): hold.key
        }
    }

    /// What Redis is asked, for whoever reads an error.
    package var word: String {
        switch self {
        case .ack, .ackVanished: "XACK"
        case .fresh, .history: "XREADGROUP"
        case .assigned, .counts: "XPENDING"
        case .fetch: "XRANGE"
        case .claim: "XAUTOCLAIM"
        case .hold: "EVAL (XCLAIM)"
        case .bury: "EVAL (XADD)"
        case .makeGroup: "EVAL (XGROUP CREATE)"
        case .forget, .clean: "EVAL (XGROUP DELCONSUMER)"
        }
    }
}

/// Ids and how often they were delivered, for the script that holds on to them.
package struct ConsumerHold: Equatable, Sendable {
    package enum Kind: Sendable {
        /// They are still in hand: the lease goes on.
        case lease
        /// They are about to be delivered again, with the next count.
        case again
        /// They stay pending, and their count says that nobody is to deliver them.
        case stay
        /// Somebody else is to have them at once.
        case giveBack
    }

    package struct Item: Equatable, Sendable {
        /// −1: not in hand any more.
        package let slot: Int
        package let id: StreamID
        package let deliveries: Int

        package init(slot: Int, id: StreamID, deliveries: Int) { (self.slot, self.id, self.deliveries) = (slot, id, deliveries) }
    }

    package let kind: Kind
    package let key: Int
    /// What is not pending at all is put back: nobody can have taken it over, so its group must have been made anew.
    package let putsBack: Bool
    package let sentNs: UInt64
    package var items: [Item]
}

/// A row of XPENDING, of this consumer.
package struct PendingRow: Equatable, Sendable {
    package let id: StreamID
    package let deliveries: Int

    package init(id: StreamID, deliveries: Int) { (self.id, self.deliveries) = (id, deliveries) }
}

/// What has come of one stream.
package struct ConsumerPage: Sendable {
    package var entries: [StreamEntry] = []
    /// Ids whose entries are gone.
    package var vanished: [StreamID] = []
    /// Ids of entries that are too long, or not what Redis should send.
    package var unreadable: [StreamID] = []
    /// Ids of entries that did not fit the reply: each comes by itself.
    package var leftOut: [StreamID] = []
    /// The last id of all of these.
    package var last: StreamID?
    package var count: Int { entries.count + vanished.count + unreadable.count + leftOut.count }

    package init() {}

    init(_ page: StreamPage) {
        (entries, vanished, unreadable, leftOut, last) = (page.entries, page.vanished, page.unreadable, page.leftOut, page.last)
    }
}

package enum ConsumerAnswer: Sendable {
    /// A number, from XACK or a script.
    case count(Int)
    case codes([Int])
    /// The streams that have brought something, by their number.
    case pages([(key: Int, page: ConsumerPage)])
    /// - unnamed: entries that are gone and whose ids Redis (6.2) does not say.
    case claimed(cursor: StreamID, page: ConsumerPage, unnamed: Int)
    case rows([PendingRow])
    case failed(StreamError)
    /// The connection was lost: it may have been carried out.
    case lost
    /// The reply is not one that the command can have.
    case strange
}

/// A message on its way to a task.
package struct ConsumerDelivery: Sendable {
    package let entry: StreamEntry
    package let slot: Int
    package let deliveries: Int

    package init(entry: StreamEntry, slot: Int, deliveries: Int) { (self.entry, self.slot, self.deliveries) = (entry, slot, deliveries) }
}

/// A message that is gone though it was waiting for another attempt: nobody need wait for it any more.
package struct GoneMessage: Equatable, Sendable {
    package let key: Int
    package let id: StreamID

    package init(key: Int, id: StreamID) { (self.key, self.id) = (key, id) }
}

/// What a turn of the machine wants of its agent.
package struct ConsumerTurn: Sendable {
    /// For the tasks, in this order.
    package var deliveries: [ConsumerDelivery] = []
    /// More is there than came: what is to be sent goes out before the tasks get theirs.
    package var hasBacklog = false
    /// For the shared connection, in one write.
    package var commands: [ConsumerCommand] = []
    /// For its own connection.
    package var read: ConsumerCommand?
    package var unblocks = false
    /// Messages that are not this consumer's any more: whoever has not got them yet is not to get them.
    package var withdrawn: [Int] = []
    package var withdrawsAll = false
    package var gone: [GoneMessage] = []
    package var isOver = false
    package var error: StreamError?

    package init() {}
}

/// What a task has made of a message.
package enum ConsumerOutcome: Sendable {
    /// Again after this time. The entry is needed for that.
    case retry(afterNs: UInt64, reason: String, StreamEntry)
    case reject(reason: String)
    /// Nobody has begun with it; it goes back as if it had not been delivered.
    case returned
}
