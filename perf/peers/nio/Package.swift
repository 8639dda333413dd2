// swift-tools-version: 6.0
// A package of its own: FastFeed does not depend on SwiftNIO. (Its directory must not be called swift-nio: SwiftPM takes
// a package's identity from there.)

import PackageDescription

let nio = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOWebSocket", "NIOFoundationCompat"]

let package = Package(
    name: "nio-peer",
    dependencies: [.package(url: "https://github.com/apple/swift-nio", from: "2.101.2")],
    targets: [
        .executableTarget(name: "nio-peer", dependencies: nio.map { .product(name: $0, package: "swift-nio") })
    ])
