// What the fuzzer can be set on. Each target feeds a reader of foreign bytes and the slow way to the same result, and calls `require`
// with what must hold. Two programs have these files: the test bundle, which runs the kept inputs (FuzzSeedTests), and libFuzzer's
// (Fuzz/Main.swift, scripts/fuzz.sh), which looks for new ones. Each says itself what `require` does.

/// A target is run by one thread at a time.
let fuzzTargets: [String: @Sendable ([UInt8]) -> Void] = [
    "frames": fuzzFrames,
    "upgrade": fuzzUpgrade,
    "proxy": fuzzProxy,
    "kline": fuzzKline,
    "notice": fuzzNotice,
    "json": fuzzJSON,
    "replies": fuzzReplies,
    "streams": fuzzStreams,
    "encoders": fuzzEncoders,
    "configuration": fuzzConfiguration,
    "utf8": fuzzUTF8,
]
