// The start's memory is given back, and what is still needed comes back by itself.

import FastFeed
import Testing

struct ProcessMemoryTests {
    @Test func codeComesBackWhenItIsUsed() {
        let bench = ParserBench()
        let before = bench.parse(KlineText().combined().bytes)
        let residentBytes = ProcessMemory.residentBytes()
        ProcessMemory.giveBackStart()
        #expect(ProcessMemory.residentBytes() < residentBytes)
        #expect(bench.parse(KlineText().combined().bytes) == before)
        #expect(bench.parse("{\"e\":1}") == .notice)
    }
}
