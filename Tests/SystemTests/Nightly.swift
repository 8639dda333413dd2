// Tests that cannot run everywhere, or take too long for every change. Any thread.

import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Runs where FASTFEED_NIGHTLY is set: scripts/nightly.sh does.
    static var nightly: Self {
        .enabled(if: Nightly.isOn, "takes long: scripts/nightly.sh tests")
    }

    /// Reads what `/proc` shows of the real program's memory or descriptors.
    static var looksIntoProgram: Self {
        .enabled(if: geteuid() == 0, "only root may look into feedd, which leaves no core")
    }
}

enum Nightly {
    static let isOn = ProcessInfo.processInfo.environment["FASTFEED_NIGHTLY"] != nil

    /// So many times as there is time for.
    static func count(everyday: Int, nightly: Int) -> Int {
        isOn ? nightly : everyday
    }
}
