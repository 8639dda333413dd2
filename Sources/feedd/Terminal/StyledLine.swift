// One line of a view. Pure.

/// A line of pieces that is cut at a width before it is coloured.
struct StyledLine {
    private var pieces: [(text: String, style: Style)] = []
    private(set) var width = 0

    init(_ text: String = "", _ style: Style = .plain) { add(text, style) }

    mutating func add(_ text: String, _ style: Style = .plain) {
        pieces.append((text, style))
        width += text.displayWidth
    }

    /// Blanks up to a column.
    mutating func pad(to column: Int) { if column > width { add(String(repeating: " ", count: column - width)) } }

    func rendered(columns: Int, usesColour: Bool) -> String {
        var room = columns
        var line = ""
        for (text, style) in pieces where room > 0 {
            let cut = text.cut(to: room)
            line += usesColour ? style.paint(cut) : cut
            room -= cut.displayWidth
        }
        return line
    }
}
