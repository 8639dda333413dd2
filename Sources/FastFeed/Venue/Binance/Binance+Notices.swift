// What Binance says that is not a kline: one call into the shim. Control path; any thread.

import CShims

extension Binance {
    package func notice(_ message: PaddedBytes) -> VenueNotice? {
        var notice = ff_notice()
        guard !message.isEmpty, unsafe ff_notice_parse(message.text, message.count, &notice) == 0 else { return nil }
        let id = notice.has_id != 0 ? notice.id : nil
        switch ff_notice_kind(UInt32(notice.kind)) {
        case FF_NOTICE_RESULT: return .result(id: id)
        case FF_NOTICE_ERROR:
            let text = unsafe withUnsafeBytes(of: notice.msg) { unsafe Ascii.printable($0.prefix(Int(notice.msg_length))) }
            return .error(id: id, code: notice.code, message: text)
        case FF_NOTICE_SHUTDOWN: return .serverShutdown
        default:
            let event = unsafe withUnsafeBytes(of: notice.event) { unsafe Ascii.printable($0.prefix(Int(notice.event_length))) }
            return event == "kline" ? .incompleteKline : .other(event)
        }
    }
}
