// For programs that start this one and must not leave it behind when they are killed.

import ArgumentParser
import FastFeed

struct ParentOption: ParsableArguments {
    @Option(help: ArgumentHelp("Process id of the parent: end when it does.", valueName: "pid", visibility: .hidden))
    var endWithParent: Int32?

    /// Call it before anything is started.
    func apply() throws {
        guard let endWithParent else { return }
        do {
            try ParentProcess.end(with: endWithParent)
        } catch {
            throw Failure(Failure.refused, "--end-with-parent \(endWithParent): that process is not (or no longer) the parent of this one")
        }
    }
}
