// The exchange's clock as the Date header has it (RFC 9110, 5.6.7): whole seconds. Pure, any thread.

import Glibc

enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    static func text(_ ms: Int64) -> String {
        var seconds = time_t(ms / 1_000)
        var civil = unsafe tm()
        unsafe gmtime_r(&seconds, &civil)
        let (weekday, day, month, year) = unsafe (Int(civil.tm_wday), civil.tm_mday, Int(civil.tm_mon), civil.tm_year + 1_900)
        let clock = unsafe [civil.tm_hour, civil.tm_min, civil.tm_sec].map(two).joined(separator: ":")
        return "\(days[weekday]), \(two(day)) \(months[month]) \(year) \(clock) GMT"
    }

    private static func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
