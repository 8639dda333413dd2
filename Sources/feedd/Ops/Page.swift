// The page's files, out of the program. Pure.

import COps

enum Page {
    static func file(_ name: String) -> HTTPAnswer? {
        var (length, type) = unsafe (0, UnsafePointer<CChar>?.none)
        guard let bytes = unsafe ops_page_file(name, &length, &type), let type = unsafe type else { return nil }
        var answer = HTTPAnswer(200, "")
        answer.contentType = unsafe String(cString: type)
        answer.body = unsafe Array(UnsafeBufferPointer(start: bytes, count: length))
        return answer
    }
}
