// JSON in the three classes of nst/JSONTestSuite, written for this project: what every reader must accept, what every
// reader must refuse, and what RFC 8259 leaves open.

enum JSONCases {
    /// Must be accepted.
    static let accepted: [String] = numbers + strings + structures

    private static let numbers: [String] = [
        "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.5", "-0.5", "1.50", "0e1", "0E1", "1e1", "1E1", "1e+1", "1E-1",
        "1.5e3", "-1.5E-10", "0.0000000001", "0e+0", "20e1", "1e0005", "-9223372036854775808", "9223372036854775807", "0.0",
    ]
    private static let strings: [String] = [
        #""""#, #"" ""#, #""a""#, #""\"""#, #""\\""#, #""\/""#, #""\b\f\n\r\t""#, #""\u0041""#, #""\u00e9""#, #""\uD834\uDD1E""#,
        #""\u0000""#,
        #""\uFFFF""#, #""\u2028\u2029""#, #""/""#, #""é""#, #""€""#, #""𝄞""#, "\"\u{7F}\"", "\"\u{2028}\"", "\"\u{10FFFF}\"", #""[{]},:""#,
        #""\\\"""#,
        #""\\\\""#, #""\\u0041""#, #""true""#, #""\uabcd\uABCD""#, "\"\u{FEFF}\"", #""'""#,
    ]
    private static let structures: [String] = [
        "true", "false", "null", "[]", "{}", "[ ]", "{ }", "[\n]", "[[]]", "[{}]", "[1]", "[1,2]", "[1 , 2]", "[null,1,\"2\",{}]",
        "[[[[[]]]]]",
        "[[],[]]", #"{"a":1}"#, #"{"a":1,"b":2}"#, #"{"a":1,"a":2}"#, #"{"":0}"#, #"{"a":[]}"#, #"{"a":{"b":{"c":{}}}}"#, #"{ "a" : 1 }"#,
        "{\r\n\t\"a\":\t1\n}", #"{"\u0061":1}"#, #"{"a\"b":1}"#, " [] ", "\t1\n", " \"a\" ", " true", "null ",
        #"[{"a":[1,{"b":[true,false]}]},null]"#,
        #"[true,false,null,"",0]"#, #"{"a":"b","c":["d",{"e":"f"}]}"#,
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
    ]
    private static let badLiterals: [String] = [
        "True", "TRUE", "tru", "truee", "true false", "fals", "nul", "nulll", "NULL", "undefined", "None", "n", "t", "f", "true1",
        "nullnull", "t\u{200B}rue",
    ]
    private static let badStrings: [String] = [
        "\"", "\"a", "a\"", "a", "'a'", "\"\\\"", "\"\\x\"", "\"\\x00\"", "\"\\u\"", "\"\\u0\"", "\"\\u00A\"", "\"\\u00G0\"",
        "\"\\uD800\\u\"",
        "\"\\uD800\\u1\"", "\"\\u 041\"", "\"\\U0041\"", "\"\\a\"", "\"\\0\"", "\"\\'\"", "\"\\\u{E9}\"", "\"a\nb\"", "\"a\tb\"",
        "\"a\u{0}b\"",
        "\"a\u{1F}b\"", "\"a\"b\"", "\"a\"\"b\"", "\"a\" \"b\"", "\"\\\\\"\"", "`a`", "\u{201C}a\u{201D}", "\\u0022a\\u0022", "\"\\\n\"",
        "\"a\"x", "\"\\e\"",
        "\"\\u{41}\"",
    ]
    private static let badArrays: [String] = [
        "[", "]", "[[", "[]]", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[,]", "[1 2]", "[1;2]", "[1:2]", "[}", "[1}", "[\"a\"", "[a]",
        "['a']", "[1]]",
        "[-]", "[*]", "[1.]", "[01]", "[nul]", "[\"\\x\"]", "[\"a\nb\"]", "[\u{0B}1]", "[1\u{0C}]", "[\u{A0}1]", "[1\u{2060}]", "[(1)]",
        "[<null>]", "[ , ]",
        "[\"a\":1]", "[1,\n1\n,1", "[{}", "[{]}", "[]{}", "[][]",
    ]
    private static let badObjects: [String] = [
        "{", "}", "{{", "{}}", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}",
        "{\"a\" 1}", "{\"a\",1}",
        "{\"a\"::1}", "{\"a\":}", "{:1}", "{1:1}", "{a:1}", "{'a':1}", "{null:1}", "{[]:1}", "{\"a\"}", "{\"a\":1 \"b\":2}",
        "{\"a\":1;\"b\":2}", "{\"a\":1]",
        "{]", "{\"a\":1}}", "{\"a\":1}#", "{\"a\":1}//", "{\"a\":/*b*/1}", "{\"a\":1}{", "{\"\\x\":1}", "{\"a\nb\":1}", "{\"a\\\":1}",
        "{\"a\":\"b}", "{\"a\":01}",
        "{\"a\":1,\"b\"}", "{\"a\":'b'}", "{\"a\":True}", "{@\"a\":1}", "{\"a\":{}", "{\"a\":[}", "{\"\\u00\":1}",
    ]
    private static let refusedBytes: [[UInt8]] = [
        [], [0x20], [0x00], [0xEF, 0xBB, 0xBF], [0xEF, 0xBB, 0xBF, 0x5B, 0x5D], [0xEF, 0xBB, 0x7B, 0x7D], [0xFE, 0xFF], [0x5B, 0x00, 0x5D],
        [0x31, 0x00],
        [0x22, 0xFF, 0x22], [0x22, 0x80, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
        [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xE2, 0x82, 0x22],
        [0x22, 0xF0, 0x9F, 0x98, 0x22], [0x22, 0x5C, 0xE5, 0x22], [0x22, 0x5C, 0x75, 0xE5, 0x22], [0x5B, 0xE5, 0x5D],
        [0x7B, 0x22, 0xB9, 0x22, 0x3A, 0x31, 0x7D],
        [0x31, 0xE5], [0x31, 0x65, 0x31, 0xE5], [0x5B, 0xFF, 0x5D], [0xE2, 0x80, 0xA8, 0x31], [0x7F], [0x0B], [0x1E, 0x31],
        [UInt8](repeating: UInt8(ascii: "["), count: 30_000),
        [UInt8](repeating: UInt8(ascii: "["), count: 100) + [UInt8](repeating: UInt8(ascii: "]"), count: 100),
        Array(String(repeating: "{\"a\":", count: 5_000).utf8), Array(String(repeating: "[{\"\":", count: 5_000).utf8),
    ]

    /// Free to accept or refuse; the parser's choice is to take what is well-formed by grammar.
    static let open: [String] = [
        "1e400", "-1e400", "1e-400", "0.4e00669999999999999999999999999999", "123123e100000", "100000000000000000000",
        "-237462374673276894279832749832423479823246327846",
        #""\uD800""#, #""\uDC00""#, #""\uD800abc""#, #""\uDD1E\uD834""#, #""\uD800\uD800""#, #""\uD800\n""#, #""\ud800\u0041""#,
        #"{"\uDFAA":0}"#, #"["\uDADA"]"#,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ]
}
