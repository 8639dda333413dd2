// What the exchange says that is not a kline: answers to our messages, errors, its shutdown. Pure, but for one call into the
// shim; control path.

import CShims

/// A message that is not a kline: what the exchange says about the connection.
package enum VenueNotice: Equatable {
    /// The answer to a control message; nil id where it had none.
    case result(id: Int64?)
    case error(id: Int64?, code: Int64, message: String)
    /// The server goes down: reconnect at once.
    case serverShutdown
    /// An event that says it is a kline and is shorter than any can be.
    case kline
    /// Another event type, or something we do not know.
    case other(String)

    /// Control path. Nil when the bytes are not JSON.
    package init?(_ message: PaddedBytes) {
        var notice = ff_notice()
        guard !message.isEmpty, unsafe ff_notice_parse(message.text, message.count, &notice) == 0 else { return nil }
        let id = notice.has_id != 0 ? notice.id : nil
        switch ff_notice_kind(UInt32(notice.kind)) {
        case FF_NOTICE_RESULT: self = .result(id: id)
        case FF_NOTICE_ERROR:
            let text = unsafe withUnsafeBytes(of: notice.msg) { unsafe Ascii.printable($0.prefix(Int(notice.msg_length))) }
            self = .error(id: id, code: notice.code, message: text)
        case FF_NOTICE_SHUTDOWN: self = .serverShutdown
        default:
            let event = unsafe withUnsafeBytes(of: notice.event) { unsafe Ascii.printable($0.prefix(Int(notice.event_length))) }
            self = event == "kline" ? .kline : .other(event)
        }
    }
}
