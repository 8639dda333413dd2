// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target. Each line says what it buys.
let base: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    // `any P` must be written: an existential is a cost one should see.
    .enableUpcomingFeature("ExistentialAny"),
    // A member is visible only where its module is imported.
    .enableUpcomingFeature("MemberImportVisibility"),
    // C shims and libraries do not leak into the public interface.
    .enableUpcomingFeature("InternalImportsByDefault"),
    // An async function stays where its caller is.
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    // Span-returning functions state how long the span lives.
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

/// Product code also marks each unsafe expression. (Tests cannot: `#expect` expansions over spans are refused.)
let strict: [SwiftSetting] = base + [.strictMemorySafety()]

/// Tests that wait for sockets and processes: without the optimiser they compile in less than half the time. What they test is optimised;
/// the unit tests are, too (millions of cases against slow parsers: 57 s without), and the simulated worlds.
let waiting: [SwiftSetting] = base + [.unsafeFlags(["-Onone", "-gline-tables-only"])]

/// Under a sanitizer (scripts/sanitize.sh) C has the sanitizer's own checks and no others.
let isSanitized = Context.environment["FASTFEED_SANITIZER"] != nil

/// C and C++, in a release build: a stack that is overwritten and a copy beyond a known size end the program. (Without the optimiser
/// glibc has no such checks, and warns.)
let guards: [String] = isSanitized ? [] : ["-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
let guardedC: [CSetting] = [.unsafeFlags(guards, .when(configuration: .release))]
let guardedCXX: [CXXSetting] = [.unsafeFlags(guards, .when(configuration: .release))]

/// All addresses of libraries are resolved at the start; then the table of them cannot be written any more.
let readOnlyTables: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now"])]

/// The commit, for Sources/COps/build.c. scripts/common.sh tells it; a symbol of the linker, so that another commit compiles nothing anew.
let commit: [LinkerSetting] =
    if let number = Context.environment["FASTFEED_COMMIT"], !number.isEmpty, number.count <= 16, number.allSatisfy(\.isHexDigit) {
        [.unsafeFlags(["-Xlinker", "--defsym=ff_commit=0x\(number)"])]
    } else {
        []
    }

/// LLVM's linker, which comes with Swift: it does not repeat glibc's warnings about functions that Foundation never calls for us
/// (`tempnam` and the like, linked in with the rest of an object).
let linker: [LinkerSetting] = [.unsafeFlags(["-use-ld=lld"])]

/// A program chooses its allocator, not a library: our programs take jemalloc, whose figures the library shows where it is there.
let jemalloc: [LinkerSetting] = linker + [.linkedLibrary("jemalloc")]

/// One file that runs without Swift on the machine, in a third of the memory. Not under a sanitizer (scripts/sanitize.sh): the static
/// library's link line hides the sanitizer's malloc from libc, which would then allocate what the sanitizer frees.
let standalone: [LinkerSetting] =
    isSanitized
    ? []
    : [
        .unsafeFlags(["-static-stdlib"]),
        // What FoundationEssentials needs, and only its dynamic library names (Swift 6.3).
        .linkedLibrary("_FoundationCollections"), .linkedLibrary("_FoundationCShims"),
    ]

let package = Package(
    name: "FastFeed",
    products: [
        .library(name: "FastFeed", targets: ["FastFeed"]),
        .executable(name: "feedd", targets: ["feedd"]),
    ],
    // Exact: a newer version comes by a change of this line, with its tests, not by the day of the build. (Package.resolved is not kept.)
    // What these bring with them follows their own ranges.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0", traits: []),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    ],
    targets: [
        .target(
            name: "CShims",
            cSettings: guardedC,
            cxxSettings: guardedCXX,
            linkerSettings: [
                .linkedLibrary("hiredis"),
                .linkedLibrary("ssl"),
                .linkedLibrary("crypto"),
                .linkedLibrary("simdjson"),
                .linkedLibrary("stdc++"),
            ]
        ),
        .target(name: "FastFeed", dependencies: ["CShims"], swiftSettings: strict),
        // A redis-server of our own (`--redis embedded`, the demo, tests): whoever only talks to one starts no process.
        .target(name: "RedisServer", dependencies: ["FastFeed"], swiftSettings: strict),
        // feedd's HTTP server over libmicrohttpd, which is loaded when it is wanted, and its page, embedded.
        .target(name: "COps", exclude: ["page"], cSettings: guardedC),
        .target(name: "CAuthority", cSettings: guardedC, linkerSettings: [.linkedLibrary("crypto")]),
        .target(name: "VenueSimulator", dependencies: ["FastFeed", "CAuthority"], swiftSettings: strict),
        .executableTarget(
            name: "feedd",
            dependencies: [
                "COps", "FastFeed", "RedisServer", "VenueSimulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Configuration", package: "swift-configuration"),
            ],
            swiftSettings: strict,
            linkerSettings: jemalloc + standalone + readOnlyTables + commit
        ),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "FastFeed", "RedisServer", "VenueSimulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "Benchmarks",
            swiftSettings: strict,
            linkerSettings: jemalloc
        ),
        // What the Autobahn suite talks to (scripts/autobahn.sh).
        .executableTarget(name: "autobahn-testee", dependencies: ["FastFeed"], swiftSettings: strict, linkerSettings: linker),
        // What several test targets share: frames, seeds, waiting.
        .target(name: "TestKit", dependencies: ["FastFeed"], path: "Tests/TestKit", swiftSettings: base),
        // The engine's agents on a kernel, an exchange and a Redis that a seed decides (scripts/simulate.sh).
        .target(
            name: "Simulation", dependencies: ["FastFeed", "VenueSimulator", "TestKit"], path: "Tests/Simulation", swiftSettings: base),
        .executableTarget(
            name: "run-seeds",
            dependencies: ["Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/RunSeeds", swiftSettings: base, linkerSettings: jemalloc),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation", "FastFeed", "RedisServer"], swiftSettings: waiting, linkerSettings: linker
        ),
        // All test targets become one program; the tests that count allocations need jemalloc's figures.
        .testTarget(
            name: "FastFeedTests", dependencies: ["FastFeed", "RedisServer", "TestKit", "CShims"], swiftSettings: base,
            linkerSettings: jemalloc),
        .testTarget(
            name: "SimulatorTests", dependencies: ["VenueSimulator", "TestKit"], swiftSettings: waiting, linkerSettings: linker),
        .testTarget(
            name: "SystemTests", dependencies: ["FastFeed", "RedisServer", "VenueSimulator", "TestKit"], swiftSettings: waiting,
            linkerSettings: linker),
    ],
    cxxLanguageStandard: .cxx17
)
