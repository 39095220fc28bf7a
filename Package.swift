// swift-tools-version: 6.2
import PackageDescription

/// Every target: explicit existentials and imports. The Makefile makes warnings errors through the environment.
let strict: [SwiftSetting] =
  Context.environment["REELFS_WARNINGS_AS_ERRORS"] == "1" ? [.treatAllWarnings(as: .error)] : []
let common: [SwiftSetting] = strict + [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// Pure targets: no pointer can enter, the compiler refuses it.
let pure: [SwiftSetting] =
  common + [.strictMemorySafety(), .treatWarning("StrictMemorySafety", as: .error)]

let package = Package(
  name: "reelfs",
  products: [.executable(name: "reelfs", targets: ["reelfs"])],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  targets: [
    // Level 4: programs.
    .executableTarget(
      name: "reelfs",
      dependencies: [
        "RecordingFS", "Supervisor", "Spool", "CurlTransport", "FolderTransport", "S3Protocol", "Receiver", "MountPage", "SyncStatus",
        "UploadCore",
        "UploadProtocol", "Fuse", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .executableTarget(name: "simulate", dependencies: ["UploadSimulator"], swiftSettings: common),

    // Level 3: the two sides, and the simulation of both.
    .target(
      name: "RecordingFS",
      dependencies: [
        "Fuse", "Spool", "SyncStatus", "UploadCore", "UploadProtocol", "CLinux",
        .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .target(
      name: "Receiver",
      dependencies: [
        "PageServing", "UploadProtocol", "CLinux", "Zstd",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .target(
      name: "MountPage",
      dependencies: [
        "PageServing", "SyncStatus", "UploadProtocol",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: common),
    .target(
      name: "UploadSimulator",
      dependencies: ["UploadCore", "UploadProtocol", .product(name: "HeapModule", package: "swift-collections")],
      swiftSettings: pure),
    .target(
      name: "Supervisor",
      dependencies: ["Fuse", "CLinux", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: common),

    // Level 2: the edges of the uploader.
    .target(
      name: "Spool",
      dependencies: [
        "UploadCore", "UploadProtocol", "CLinux",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .target(
      name: "CurlTransport",
      dependencies: [
        "UploadCore", "UploadProtocol", "S3Protocol", "CCurl", "CLinux", "Zstd",
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: common),

    .target(
      name: "FolderTransport", dependencies: ["UploadCore", "UploadProtocol"], swiftSettings: common),

    // The pages as files, and what both of them need of a server.
    .target(
      name: "PageServing",
      dependencies: [
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Crypto", package: "swift-crypto"),
      ], resources: [.embedInCode("Pages")], swiftSettings: common),

    // Level 1: what decides, and what speaks to the kernel.
    .target(
      name: "S3Protocol", dependencies: ["UploadProtocol", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: pure),
    .target(
      name: "UploadCore",
      dependencies: [
        "UploadProtocol", .product(name: "HeapModule", package: "swift-collections"),
      ], swiftSettings: pure),
    .target(name: "SyncStatus", dependencies: ["UploadProtocol"], swiftSettings: pure),
    .target(
      name: "Fuse",
      dependencies: ["CFuse", "CLinux", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: common),

    .target(name: "Zstd", dependencies: ["CZstd"], swiftSettings: common),

    // Level 0: words both sides share, and the C border.
    .target(name: "UploadProtocol", swiftSettings: pure),
    .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "CLinux"),

    // Tests, and what only tests need.
    .testTarget(name: "UploadCoreTests", dependencies: ["UploadCore", "UploadProtocol"], swiftSettings: common),
    .testTarget(
      name: "SimulationTests", dependencies: ["UploadSimulator", "UploadCore", "UploadProtocol", "simulate", "TestSupport"],
      swiftSettings: common),
    .testTarget(name: "S3ProtocolTests", dependencies: ["S3Protocol", "UploadProtocol"], swiftSettings: common),
    .testTarget(
      name: "PageTests",
      dependencies: [
        "PageServing", "MountPage", "SyncStatus", "UploadProtocol",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
      ], swiftSettings: common),
    .testTarget(name: "SyncStatusTests", dependencies: ["SyncStatus", "UploadProtocol"], swiftSettings: common),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "reelfs", "SyncStatus", "UploadCore", "UploadProtocol", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: common),
    .testTarget(
      name: "CurlTransportTests",
      dependencies: ["CurlTransport", "S3Protocol", "CCurl", "FaultyServer", "TestSupport", "UploadCore", "UploadProtocol", "Zstd"],
      swiftSettings: common),
    .testTarget(
      name: "ReceiverTests",
      dependencies: [
        "Receiver", "UploadProtocol", "CLinux", "Zstd",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTesting", package: "hummingbird"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .testTarget(
      name: "FuseTests",
      dependencies: [
        "Fuse", "CLinux", "TestSupport", "fuse-probe", .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .testTarget(
      name: "SupervisorTests", dependencies: ["Supervisor", "TestSupport", "fuse-probe"], swiftSettings: common),
    .testTarget(
      name: "SpoolTests",
      dependencies: [
        "Spool", "UploadCore", "UploadProtocol", .product(name: "SystemPackage", package: "swift-system"),
      ], swiftSettings: common),
    .testTarget(
      name: "MountTests", dependencies: ["reelfs", "FaultyServer", "TestSupport", "CLinux"], swiftSettings: common),
    .testTarget(
      name: "FolderTransportTests", dependencies: ["FolderTransport", "UploadCore", "UploadProtocol"],
      swiftSettings: common),
    .target(name: "FaultyServer", path: "Tests/FaultyServer", swiftSettings: common),
    .target(name: "TestSupport", dependencies: ["CLinux"], path: "Tests/TestSupport", swiftSettings: common),
    .executableTarget(
      name: "instruction-probe",
      dependencies: [
        "Spool", "UploadSimulator", "UploadCore", "UploadProtocol", .product(name: "SystemPackage", package: "swift-system"),
      ], path: "Tests/InstructionProbe", swiftSettings: common),
    .executableTarget(name: "s3-probe", dependencies: ["S3Protocol"], path: "Tests/S3Probe", swiftSettings: common),
    .executableTarget(
      name: "fuse-probe",
      dependencies: ["Fuse", "Supervisor", "CLinux", .product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/FuseProbe", swiftSettings: common),
  ],
  swiftLanguageModes: [.v6]
)
