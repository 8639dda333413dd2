// Tests that take too long for every change. Any thread.

import Foundation
import Testing

extension Trait where Self == ConditionTrait {
    /// Runs where FASTFEED_NIGHTLY is set: scripts/nightly.sh does.
    static var nightly: Self {
        .enabled(if: ProcessInfo.processInfo.environment["FASTFEED_NIGHTLY"] != nil, "takes long: scripts/nightly.sh tests")
    }
}
