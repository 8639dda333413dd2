// swift-tools-version: 6.2
import PackageDescription

// A program of one's own beside a clone of FastFeed. The library brings no allocator; who wants jemalloc links it here.
let package = Package(
    name: "bot",
    dependencies: [.package(name: "FastFeed", path: "../../..")],
    targets: [.executableTarget(name: "bot", dependencies: [.product(name: "FastFeed", package: "FastFeed")])]
)
