// What nst/JSONTestSuite has and the tables of JSONCases.swift do not: each file as it is or, where a list is only its
// wrapping, the value in it.

extension JSONCases {
    static let corpus: [JSONCase] = corpusAccepted + corpusRefused + corpusOpen

    private static let corpusAccepted: [JSONCase] = [
        .accepted("array heterogeneous", #"[null, 1, "1", {}]"#),
        .accepted("array with trailing space", "2"),
        .accepted("number", "123e65"),
        .accepted("number 0e+1", "0e+1"),
        .accepted("number after space", " 4"),
        .accepted("number real capital e neg exp", "1E-2"),
        .accepted("number real capital e pos exp", "1E+2"),
        .accepted("number real exponent", "123e45"),
        .accepted("number real neg exp", "1e-2"),
        .accepted("number real pos exponent", "1e+2"),
        .accepted("number simple int", "123"),
        .accepted("number simple real", "123.456789"),
        .accepted("object", #"{"asd":"sdf", "dfg":"fgh"}"#),
        .accepted("object basic", #"{"asd":"sdf"}"#),
        .accepted("object duplicated key", #"{"a":"b","a":"c"}"#),
        .accepted("object duplicated key and value", #"{"a":"b","a":"b"}"#),
        .accepted("object escaped null in key", #"{"foo\u0000bar": 42}"#),
        .accepted(
            "object long strings",
            #"{"x":[{"id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}], "id": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#),
        .accepted(
            "object string unicode",
            #"{"title":"\u041f\u043e\u043b\u0442\u043e\u0440\u0430 \u0417\u0435\u043c\u043b\u0435\u043a\u043e\u043f\u0430" }"#),
        .accepted("object with newlines", #"{\#n"a": "b"\#n}"#),
        .accepted("string 1 2 3 bytes UTF-8 sequences", #""\u0060\u012a\u12AB""#),
        .accepted("string accepted surrogate pair", #""\uD801\udc37""#),
        .accepted("string accepted surrogate pairs", #""\ud83d\ude39\ud83d\udc8d""#),
        .accepted("string allowed escapes", #""\"\\\/\b\f\n\r\t""#),
        .accepted("string comments", #""a/*b*/c/*d//e""#),
        .accepted("string double escape a", #""\\a""#),
        .accepted("string double escape n", #""\\n""#),
        .accepted("string in array", #""asd""#),
        .accepted("string in array with leading space", #" "asd""#),
        .accepted("string nbsp uescaped", #""new\u00A0line""#),
        .accepted("string one-byte-utf-8", #""\u002c""#),
        .accepted("string pi", #""\#u{3C0}""#),
        .accepted("string simple ascii", #""asd ""#),
        .accepted("string surrogates U+1D11E MUSICAL SYMBOL G CLEF", #""\uD834\uDd1e""#),
        .accepted("string three-byte-utf-8", #""\u0821""#),
        .accepted("string two-byte-utf-8", #""\u0123""#),
        .accepted("string u+2029 par sep", #""\#u{2029}""#),
        .accepted("string uEscape", #""\u0061\u30af\u30EA\u30b9""#),
        .accepted("string uescaped newline", #""new\u000Aline""#),
        .accepted("string unicode", #""\uA66D""#),
        .accepted("string unicode 2", #""\#u{2342}\#u{3234}\#u{2342}""#),
        .accepted("string unicode U+10FFFE nonchar", #""\uDBFF\uDFFE""#),
        .accepted("string unicode U+200B ZERO WIDTH SPACE", #""\u200B""#),
        .accepted("string unicode U+2064 invisible plus", #""\u2064""#),
        .accepted("string unicode U+FFFE nonchar", #""\uFFFE""#),
        .accepted("string utf8", #""\#u{20AC}\#u{1D11E}""#),
        .accepted("string with del character", #""a\#u{7F}a""#),
        .accepted("structure lonely int", "42"),
        .accepted("structure lonely negative real", "-0.1"),
    ]

    private static let corpusRefused: [JSONCase] = [
        .refused("array colon instead of comma", "\"\": 1"),
        .refused("array spaces vertical tab formfeed", #""\#u{B}a"\f"#),
        .refused("number .2e-3", ".2e-3"),
        .refused("number 0.1.2", "0.1.2"),
        .refused("number 0 capital E", "0E"),
        .refused("number 0e+", "0e+"),
        .refused("number 1.0e+", "1.0e+"),
        .refused("number 1.0e", "1.0e"),
        .refused("number 2.e3", "2.e3"),
        .refused("number expression", "1+2"),
        .refused("number invalid-utf-8-in-bigger-int", [0x31, 0x32, 0x33, 0xE5]),
        .refused("number invalid-utf-8-in-int", [0x30, 0xE5]),
        .refused("number neg int starting with zero", "-012"),
        .refused("number neg real without int part", "-.123"),
        .refused("number starting with dot", ".123"),
        .refused("object bad value", #""x", truth"#),
        .refused("object bracket key", #"{[: "x"}\#n"#),
        .refused("object double colon", #"{"x"::"b"}"#),
        .refused("object key with single quotes", "{key: 'value'}"),
        .refused("object lone continuation byte in key and trailing comma", [0x7B, 0x22, 0xB9, 0x22, 0x3A, 0x22, 0x30, 0x22, 0x2C, 0x7D]),
        .refused("object missing key", #"{:"b"}"#),
        .refused("object missing semicolon", #"{"a" "b"}"#),
        .refused("object single quote", "{'a':0}"),
        .refused("object trailing comma", #"{"id":0,}"#),
        .refused("object trailing comment slash open", #"{"a":"b"}//"#),
        .refused("object two commas in a row", #"{"a":"b",,"c":"d"}"#),
        .refused("object unquoted key", #"{a: "b"}"#),
        .refused("object with trailing garbage", #"{"a":"b"}#"#),
        .refused("string single quote", "'single quote'"),
        .refused("string unescaped newline", #""new\#nline""#),
        .refused("string unescaped tab", #""\#t""#),
        .refused("string with trailing garbage", "\"\"x"),
        .refused("structure array with unclosed string", #""asd"#),
        .refused("structure object with comment", #"{"a":/*comment*/"b"}"#),
        .refused("structure unclosed object", #"{"asd":"asd""#),
    ]

    private static let corpusOpen: [JSONCase] = [
        .open(
            "number huge exp",
            "0.4e00669999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999969999999006"
        ),
        .open("number neg int huge exp", "-1e+9999"),
        .open("number pos double huge exp", "1.5e+9999"),
        .open("number too big neg int", "-123123123123123123123123123123"),
        .open("string invalid lonely surrogate", #""\ud800""#),
        .open("string invalid surrogate", #""\ud800abc""#),
        .open("string inverted surrogates U+1D11E", #""\uDd1e\uD834""#),
        .open("string lone second surrogate", #""\uDFAA""#),
        .open("number 1.0", "1.0"),
        .open("number 1000000000000000", "1000000000000000"),
        .open("number 1e6", "1E6"),
        .open("object key nfc nfd", #"{"\#u{E9}":"NFC","e\#u{301}":"NFD"}"#),
        .open("object key nfd nfc", #"{"e\#u{301}":"NFD","\#u{E9}":"NFC"}"#),
        .open("object same key same value", #"{"a":1,"a":1}"#),
        .open("object same key unclear values", #"{"a":0, "a":-0}\#n"#),
        .open("string 3 invalid codepoints", [0x22, 0xED, 0xA0, 0x80, 0xED, 0xA0, 0x80, 0xED, 0xA0, 0x80, 0x22]),
        .open("string with escaped NULL", #""A\u0000B""#),
    ]
}

extension JSONCase {
    fileprivate static func accepted(_ label: String, _ text: String) -> JSONCase {
        JSONCase(verdict: .accepted, bytes: Array(text.utf8), label: label)
    }
    fileprivate static func refused(_ label: String, _ text: String) -> JSONCase {
        JSONCase(verdict: .refused, bytes: Array(text.utf8), label: label)
    }
    fileprivate static func refused(_ label: String, _ bytes: [UInt8]) -> JSONCase {
        JSONCase(verdict: .refused, bytes: bytes, label: label)
    }
    fileprivate static func open(_ label: String, _ text: String) -> JSONCase {
        JSONCase(verdict: .open, bytes: Array(text.utf8), label: label)
    }
    fileprivate static func open(_ label: String, _ bytes: [UInt8]) -> JSONCase {
        JSONCase(verdict: .open, bytes: bytes, label: label)
    }
}
