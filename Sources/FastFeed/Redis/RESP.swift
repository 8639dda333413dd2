// RESP as we write it on the control path: whole commands of texts. Pure.

package enum RESP {
    static func bulk(_ text: String) -> [UInt8] { Array("$\(text.utf8.count)\r\n\(text)\r\n".utf8) }

    /// A whole command; for the control path.
    package static func command(_ arguments: [String]) -> [UInt8] { Array("*\(arguments.count)\r\n".utf8) + arguments.flatMap(bulk) }
}
