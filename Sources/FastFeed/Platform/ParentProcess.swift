// A child that must not outlive whoever started it. Any thread, before others start.

import CShims

package enum ParentProcess {
    /// From now on SIGTERM comes when the parent ends (strictly: its thread that started us), however it ends.
    /// - Throws: when the parent has already ended, or the kernel does not do this.
    package static func end(with parent: Int32) throws(SystemError) {
        let code = ff_end_with_parent(parent)
        if code < 0 { throw SystemError("prctl", code: -code) }
    }
}
