// The fuzzer's entry: one program for all targets, so that it is built once. FUZZ_TARGET names the one to run
// (scripts/fuzz.sh sets it). A target traps when it sees something wrong; libFuzzer keeps the input. The targets themselves are
// Tests/FastFeedTests/Fuzz, beside the slow parsers they compare with: the test bundle runs the kept inputs through them.

import Glibc

private let target: @Sendable ([UInt8]) -> Void = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let found = fuzzTargets[name] else {
        print("FUZZ_TARGET must be one of: \(fuzzTargets.keys.sorted().joined(separator: " "))")
        exit(2)
    }
    return found
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    target(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}

/// Traps unless `ok`; on in every build.
func require(_ ok: Bool, _ what: @autoclosure () -> String) {
    if !ok { fatalError(what()) }
}
