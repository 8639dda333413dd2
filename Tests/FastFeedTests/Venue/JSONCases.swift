// JSON in the three classes of nst/JSONTestSuite, written for this project: what every reader must accept, what every
// reader must refuse, and what RFC 8259 leaves open.

import FastFeed

/// A piece of JSON, or of what is none.
struct JSONCase: Sendable {
    enum Verdict { case accepted, refused, open }

    let verdict: Verdict
    let bytes: [UInt8]
    /// What it is, where somebody has said so.
    var label: String?

    /// With the bytes as far as they can be shown.
    var name: String { "\(verdict) \(label.map { "\($0): " } ?? "")\(Ascii.printable(bytes, limit: 48)) (\(bytes.count) bytes)" }
    /// A case that could stand for a member's name.
    var isString: Bool { bytes.first == UInt8(ascii: "\"") }
    var isUTF8: Bool { String(validating: bytes, as: UTF8.self) != nil }
}

enum JSONCases {
    static let all: [JSONCase] =
        accepted.map { JSONCase(verdict: .accepted, bytes: Array($0.utf8)) } + refused.map { JSONCase(verdict: .refused, bytes: $0) }
        + open.map { JSONCase(verdict: .open, bytes: $0) } + corpus

    /// Must be accepted.
    static let accepted: [String] = numbers + strings + structures

    private static let numbers: [String] = [
        "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.5", "-0.5", "1.50", "0e1", "0E1", "1e1", "1E1", "1e+1", "1E-1",
        "1.5e3", "-1.5E-10", "0.0000000001", "0e+0", "20e1", "1e0005", "-9223372036854775808", "9223372036854775807", "0.0",
        "-123", "123456789012345678", "-123456789012345678", "1.000000000000000005", "123.456e78", "-1.0e+28", "1E22",
        "-0." + String(repeating: "0", count: 77) + "1",
    ]
    private static let strings: [String] = [
        #""""#, #"" ""#, #""a""#, #""\"""#, #""\\""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0041""#, #""\u00e9""#, #""\uD834\uDD1E""#,
        #""\u0000""#,
        #""\uFFFF""#, #""\u2028\u2029""#, #""/""#, #""é""#, #""€""#, #""𝄞""#, "\"\u{7F}\"", "\"\u{2028}\"", "\"\u{10FFFF}\"", #""[{]},:""#,
        #""\\\"""#,
        #""\\\\""#, #""\\u0041""#, #""true""#, #""\uabcd\uABCD""#, "\"\u{FEFF}\"", #""'""#,
        #""\u0012""#, #""\uDBFF\uDFFF""#, #""\uD83F\uDFFE""#, #""\uFDD0""#, #""\u200B\u2064""#, #""\u0022""#, #""\u005C""#,
        #""\\u0000""#, #""a/*b*/c//d""#, "\"\u{FFFF}\"", "\"\u{1BFFF}\"", "\"\u{10FFFE}\"", "\"e\u{301}\"", #""1""#, #""-0.5""#,
        #""1m""#, #""BTCUSDT""#, "\"" + String(repeating: "1", count: 31) + "\"", "\"" + String(repeating: "1", count: 32) + "\"",
        "\"" + String(repeating: "x", count: 255) + "\"", "\"" + String(repeating: "x", count: 256) + "\"",
    ]
    private static let structures: [String] = [
        "true", "false", "null", "[]", "{}", "[ ]", "{ }", "[\n]", "[[]]", "[{}]", "[1]", "[1,2]", "[1 , 2]", "[null,1,\"2\",{}]",
        "[[[[[]]]]]",
        "[[],[]]", #"{"a":1}"#, #"{"a":1,"b":2}"#, #"{"a":1,"a":2}"#, #"{"":0}"#, #"{"a":[]}"#, #"{"a":{"b":{"c":{}}}}"#, #"{ "a" : 1 }"#,
        "{\r\n\t\"a\":\t1\n}", #"{"\u0061":1}"#, #"{"a\"b":1}"#, " [] ", "\t1\n", " \"a\" ", " true", "null ",
        #"[{"a":[1,{"b":[true,false]}]},null]"#,
        #"[true,false,null,"",0]"#, #"{"a":"b","c":["d",{"e":"f"}]}"#,
        "[[]   ]", "[1\n]", "[1,null,null,null,2]", #"{"foo\u0000bar":42}"#, #"{"a":0,"a":-0}"#, "{\"\u{E9}\":1,\"e\u{301}\":2}",
        #"{"x":[{"id":"\#(String(repeating: "x", count: 40))"}],"id":1}"#, #"{ "min": -1.0e+28, "max": 1.0e+28 }"#,
        String(repeating: "[", count: 61) + String(repeating: "]", count: 61),
    ]

    /// Must be refused, alone and as the value of any member of a kline.
    static let refused: [[UInt8]] = refusedText.map { Array($0.utf8) } + refusedBytes

    private static let refusedText: [String] = badNumbers + badLiterals + badStrings + badArrays + badObjects
    private static let badNumbers: [String] = [
        "01", "-01", "00", "-", "+1", "++1", "--1", "1.", ".5", "-.5", "1.e1", "1e", "1e+", "1E-", "1ee1", "1e1.5", "1.2.3", "0x1", "0x",
        "1a", "1_000",
        "1 000", "Infinity", "-Infinity", "NaN", "-NaN", "nan", "inf", "1+1", "1-1", "0e", "0.e1", ".", "-e1", "e1", "1\u{660}", "１", "1,",
        "2.e-3",
        "-2.", "0.3e", "0.3e+", "9.e+", "1eE2", "0E+", "-foo", "- 1", "1f", "1L", "012",
        "+Inf", "Inf", "-1x", "-1.0.", "1.8011670033376514H-308", "1.2a-3", "0e+-1", "2.e+3", "0x42", "-123.123foo", "1ea", "1.0e-", "2@",
        "*",
        "++1234", ".-1", "1 000.0", "<.>",
    ]
    private static let badLiterals: [String] = [
        "True", "TRUE", "tru", "truee", "true false", "fals", "nul", "nulll", "NULL", "undefined", "None", "n", "t", "f", "true1",
        "nullnull", "t\u{200B}rue", "truth", "[ false, nul", "[ true, fals", "[ false, tru",
    ]
    private static let badStrings: [String] = [
        "\"", "\"a", "a\"", "a", "'a'", "\"\\\"", "\"\\x\"", "\"\\x00\"", "\"\\u\"", "\"\\u0\"", "\"\\u00A\"", "\"\\u00G0\"",
        "\"\\uD800\\u\"",
        "\"\\uD800\\u1\"", "\"\\u 041\"", "\"\\U0041\"", "\"\\a\"", "\"\\0\"", "\"\\'\"", "\"\\\u{E9}\"", "\"a\nb\"", "\"a\tb\"",
        "\"a\u{0}b\"",
        "\"a\u{1F}b\"", "\"a\"b\"", "\"a\"\"b\"", "\"a\" \"b\"", "\"\\\\\"\"", "`a`", "\u{201C}a\u{201D}", "\\u0022a\\u0022", "\"\\\n\"",
        "\"a\"x", "\"\\e\"",
        "\"\\u{41}\"",
        #"["\uD800\"]"#, #"["\uD800\u1x"]"#, #"["\uD834\uDd"]"#, #"["\uD800\uD800\x"]"#, #"["\uqqqq"]"#, #"["\\\"]"#, #"["\"]"#,
        "\"\\\u{0}\"",
        "\"\\\t\"", "\"\\\u{1F300}\"", #"[\u0020"asd"]"#, #"[\u000A""]"#, #"[\n]"#, "abc", #""\"#, #"["\"#, #""\UA66D""#, "[\u{E9}]",
        "a\u{E5}", "\u{E5}",
        String(repeating: #"["\{"#, count: 4),
    ]
    private static let badArrays: [String] = [
        "[", "]", "[[", "[]]", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[,]", "[1 2]", "[1;2]", "[1:2]", "[}", "[1}", "[\"a\"", "[a]",
        "['a']", "[1]]",
        "[-]", "[*]", "[1.]", "[01]", "[nul]", "[\"\\x\"]", "[\"a\nb\"]", "[\u{0B}1]", "[1\u{0C}]", "[\u{A0}1]", "[1\u{2060}]", "[(1)]",
        "[<null>]", "[ , ]",
        "[\"a\":1]", "[1,\n1\n,1", "[{}", "[{]}", "[]{}", "[][]",
        "[3[4]]", "[\"\",]", "[\"x\",,]", "[\"x\"", "[x", "[\"x\"]]", "[\"\"],", "[   , \"\"]", "[\"a\",\n4\n,1,", "[1,,]",
        "[\u{0B}\"a\"\\f]", "[\"\"",
        "['", "[,", "[{", "[\"a", "1]", "[1]x", "[\u{2060}]", "[\u{0C}]", "[1 true]",
    ]
    private static let badObjects: [String] = [
        "{", "}", "{{", "{}}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}", "{\"a\",1}",
        "{\"a\"::1}", "{\"a\":}", "{:1}", "{1:1}", "{a:1}", "{'a':1}", "{null:1}", "{[]:1}", "{\"a\"}", "{\"a\":1 \"b\":2}",
        "{\"a\":1;\"b\":2}", "{\"a\":1]",
        "{]", "{\"a\":1}}", "{\"a\":1}#", "{\"a\":1}//", "{\"a\":/*b*/1}", "{\"a\":1}{", "{\"\\x\":1}", "{\"a\nb\":1}", "{\"a\\\":1}",
        "{\"a\":\"b}", "{\"a\":01}",
        "{\"a\":1,\"b\"}", "{\"a\":'b'}", "{\"a\":True}", "{@\"a\":1}", "{\"a\":{}", "{\"a\":[}", "{\"\\u00\":1}",
        "{[: \"x\"}", "{\"x\", null}", "{\u{1F1E8}\u{1F1ED}}", "{\"a\":\"a\" 123}", "{\"a\" b}", "{9999E9999:1}", "{\"id\":0,,,,,}",
        "{\"a\":\"b\"}/**/",
        "{\"a\":\"b\"}/**//", "{\"a\":\"b\"}/", "{ \"foo\" : \"bar\", \"a\" }", "{\"a\":\"a", "{\"\":", "{\"a\": true} \"x\"",
        "{\"a\":\"b\"}#{}", "{,", "{[",
        "{\"a", "{'a'", "{null:null,null:null}", "{\"x\": true,",
    ]
    private static let refusedBytes: [[UInt8]] = [
        [], [0x20], [0x00], [0xEF, 0xBB, 0xBF], [0xEF, 0xBB, 0xBF, 0x5B, 0x5D], [0xEF, 0xBB, 0x7B, 0x7D], [0xFE, 0xFF], [0x5B, 0x00, 0x5D],
        [0x31, 0x00],
        [0x22, 0xFF, 0x22], [0x22, 0x80, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xE2, 0x82, 0x22],
        [0x22, 0xF0, 0x9F, 0x98, 0x22], [0x22, 0x5C, 0xE5, 0x22], [0x22, 0x5C, 0x75, 0xE5, 0x22], [0x5B, 0xE5, 0x5D],
        [0x7B, 0x22, 0xB9, 0x22, 0x3A, 0x31, 0x7D],
        [0x31, 0x32, 0x33, 0x00], [0x22, 0x61, 0x00, 0x61, 0x22], [0x22, 0x00, 0x22], [0x00, 0x31], [0x5B, 0x31, 0x65, 0xE5, 0x5D],
        [0x5B, 0x61, 0xE5, 0x5D],
        [0xE5], [0xE9],
        [0x31, 0xE5], [0x31, 0x65, 0x31, 0xE5], [0x5B, 0xFF, 0x5D], [0xE2, 0x80, 0xA8, 0x31], [0x7F], [0x0B], [0x1E, 0x31],
        [UInt8](repeating: UInt8(ascii: "["), count: 30_000),
        [UInt8](repeating: UInt8(ascii: "["), count: 100) + [UInt8](repeating: UInt8(ascii: "]"), count: 100),
        [UInt8](repeating: UInt8(ascii: "["), count: 100_000),
        [UInt8](repeating: UInt8(ascii: "["), count: 100_000) + [UInt8](repeating: UInt8(ascii: "]"), count: 100_000),
        Array((String(repeating: "[{\"\":", count: 50_000) + "\n").utf8), Array(String(repeating: "{\"a\":", count: 5_000).utf8),
        Array(String(repeating: "[{\"\":", count: 5_000).utf8),
    ]

    /// Free to accept or refuse; the parser's choice is to take what is well-formed UTF-8 and grammar, to 64 levels.
    static let open: [[UInt8]] = openText.map { Array($0.utf8) } + openBytes

    private static let openText: [String] = [
        "1e400", "-1e400", "1e-400", "123.456e-789", "0.4e00669999999999999999999999999999", "123123e100000", "-123123e100000",
        "123e-10000000",
        "100000000000000000000", "-9223372036854775809", "9223372036854775808", "10000000000000000999",
        "-237462374673276894279832749832423479823246327846", "1E-999",
        #""\uD800""#, #""\uDC00""#, #""\uD800abc""#, #""\uDD1E\uD834""#, #""\uD800\uD800""#, #""\uD800\n""#, #""\ud800\u0041""#,
        #""\uDd1ea""#,
        #""\uD888\u1234""#, #""\uD800\uD800\n""#, #""\uD800\uD800\uD800""#,
        #"{"\uDFAA":0}"#, #"["\uDADA"]"#,
        String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
        String(repeating: "[", count: 64) + String(repeating: "]", count: 64),
        String(repeating: "[", count: 65) + String(repeating: "]", count: 65),
        String(repeating: "[", count: 500) + String(repeating: "]", count: 500),
        "\u{FEFF}{}",
    ]
    private static let openBytes: [[UInt8]] = [
        // UTF-16 with a mark and without.
        [0xFF, 0xFE, 0x5B, 0x00, 0x22, 0x00, 0xE9, 0x00, 0x22, 0x00, 0x5D, 0x00],
        [0x00, 0x5B, 0x00, 0x22, 0x00, 0xE9, 0x00, 0x22, 0x00, 0x5D],
        [0x5B, 0x00, 0x22, 0x00, 0xE9, 0x00, 0x22, 0x00, 0x5D, 0x00],
        // Latin 1, surrogates in UTF-8, above the last character, overlong forms, characters cut and mixed up.
        [0x22, 0xE9, 0x22], [0x22, 0xED, 0xA0, 0x80, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF4, 0xBF, 0xBF, 0xBF, 0x22],
        [0x22, 0xC0, 0x80, 0x22],
        [0x22, 0xFC, 0x83, 0xBF, 0xBF, 0xBF, 0xBF, 0x22], [0x22, 0xFC, 0x80, 0x80, 0x80, 0x80, 0x80, 0x22], [0x22, 0xE0, 0xFF, 0x22],
        [0x22, 0x81, 0x22], [0x22, 0xE6, 0x97, 0xA5, 0xD1, 0x88, 0xFA, 0x22],
    ]
}
