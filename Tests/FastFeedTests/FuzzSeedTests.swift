// The fuzzer's kept inputs, in every run of the tests: what it has found once stays found. Looking for more is scripts/fuzz.sh's.

import Foundation
import Testing

/// In the test bundle a target that sees something wrong goes on, so that the other inputs are run.
func require(_ ok: Bool, _ what: @autoclosure () -> String) {
    if !ok { Issue.record("\(FuzzSeedTests.input): \(what())") }
}

@Suite struct FuzzSeedTests {
    private static let folder = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../Fuzz/seeds").standardized

    /// The input that is running, for the complaint.
    @TaskLocal static var input = ""

    @Test(arguments: fuzzTargets.keys.sorted()) func keptInputs(_ target: String) throws {
        let run = try #require(fuzzTargets[target])
        let files = try FileManager.default.contentsOfDirectory(
            at: FuzzSeedTests.folder.appendingPathComponent(target), includingPropertiesForKeys: nil)
        #expect(files.count >= 5, "\(target) has lost its inputs")
        for file in files {
            let bytes = try Array(Data(contentsOf: file))
            FuzzSeedTests.$input.withValue("\(target)/\(file.lastPathComponent)") { run(bytes) }
        }
    }

    @Test func everyTargetHasInputsAndTheOtherWayRound() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: FuzzSeedTests.folder.path)
        #expect(Set(folders) == Set(fuzzTargets.keys))
    }
}
