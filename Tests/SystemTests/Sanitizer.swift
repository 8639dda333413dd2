// Whether this process runs under a sanitizer, for the tests that mean nothing there.

import Glibc

enum Sanitizer {
    /// True when the address or the thread sanitizer's runtime is linked.
    static let isOn = ["__asan_init", "__tsan_init"].contains { (name: String) in dlsym(nil, name) != nil }
}
