// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

/// One of our own library targets. The list below is in the order of the street; arrows go up only.
func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "waybill",
    products: [
        .executable(name: "waybill-hub", targets: ["waybill-hub"]),
        .executable(name: "waybill-agent", targets: ["waybill-agent"]),
        .executable(name: "waybill", targets: ["waybill"]),
        .executable(name: "waybill-sim", targets: ["waybill-sim"]),
        .executable(name: "waybill-bench", targets: ["waybill-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        .systemLibrary(name: "CZeroMQ"),
        .systemLibrary(name: "CZstd"),

        // Values that every step shares, and the ways to the outside.
        library("WaybillModel"),
        library("WaybillWire", ["WaybillModel", protobuf, crypto]),
        library("WaybillSocket", ["CZeroMQ", logging]),
        .target(
            name: "CSQLiteStart", cSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.linkedLibrary("sqlite3")]),
        library("WaybillDatabase", ["WaybillModel", "CSQLiteStart", grdb]),
        library("WaybillDigest", ["WaybillModel", "WaybillDatabase", grdb, crypto]),

        // HQ tables -> capture -> plan -> package
        library("WaybillCapture", ["WaybillModel", "WaybillDatabase", grdb]),
        library("WaybillImport", ["WaybillModel", "WaybillDatabase", "WaybillCapture", grdb, crypto, yams]),
        library(
            "WaybillJobs", ["WaybillModel", yams],
            resources: [
                .embedInCode("Retail/assortments.yaml"), .embedInCode("Retail/delivery-modes.yaml"),
                .embedInCode("Retail/prices.yaml"),
            ]),
        library("WaybillSchedule", ["WaybillModel", "WaybillJobs"]),
        library(
            "WaybillPlan",
            ["WaybillModel", "WaybillDatabase", "WaybillCapture", "WaybillJobs", "WaybillDigest", grdb]),
        library("WaybillPackage", ["WaybillModel", "WaybillDatabase", "WaybillWire", "CZstd", crypto, grdb]),

        // -> transfer -> apply
        library("WaybillTransfer", ["WaybillModel", "WaybillWire"]),
        library(
            "WaybillApply",
            ["WaybillModel", "WaybillDatabase", "WaybillWire", "WaybillPackage", "WaybillDigest", grdb]),

        // -> status -> fold -> session list
        library("WaybillSessions", ["WaybillModel", "WaybillDatabase", "WaybillSchedule", grdb, crypto]),

        // The two sides, and the administrator's interface.
        library("WaybillAdmin", ["WaybillModel"]),
        library("WaybillConsole", ["WaybillModel", "WaybillAdmin"]),
        library(
            "WaybillHub",
            [
                "WaybillModel", "WaybillWire", "WaybillSocket", "WaybillDatabase", "WaybillCapture", "WaybillImport",
                "WaybillJobs", "WaybillPlan", "WaybillPackage", "WaybillTransfer", "WaybillSessions", "WaybillAdmin",
                "WaybillSchedule", logging, lifecycle, hummingbird, yams, grdb, crypto,
            ]),
        library(
            "WaybillAgent",
            [
                "WaybillModel", "WaybillWire", "WaybillSocket", "WaybillDatabase", "WaybillPackage",
                "WaybillTransfer", "WaybillApply", logging, lifecycle, yams, grdb, crypto,
            ]),

        // Disks that break, for tests and simulation; no program depends on it.
        .target(
            name: "CFaultDisk", cSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.linkedLibrary("sqlite3")]),
        library("WaybillFaultDisk", ["CFaultDisk"]),
        // Damaged values for every decoder. Not installed.
        library(
            "WaybillFuzzing",
            [
                "WaybillModel", "WaybillWire", "WaybillDatabase", "WaybillImport", "WaybillJobs", "WaybillPackage",
                "WaybillAdmin", protobuf, crypto, grdb,
            ]),
        program("waybill-fuzz", ["WaybillFuzzing", arguments]),

        // Hub and stores in one thread with a clock of their own: see `waybill-sim --help`. Not installed anywhere.
        library(
            "WaybillSimulation",
            [
                "WaybillModel", "WaybillWire", "WaybillSocket", "WaybillDatabase", "WaybillFaultDisk", "WaybillCapture",
                "WaybillJobs", "WaybillPackage", "WaybillSessions", "WaybillApply", "WaybillHub", "WaybillAgent",
                protobuf,
                logging, grdb, crypto,
            ]),
        program("waybill-sim", ["WaybillSimulation", arguments]),

        // Measures parts of it: see `waybill-bench --help`. Not installed anywhere.
        program(
            "waybill-bench",
            [
                "WaybillHub", "WaybillAgent", "WaybillModel", "WaybillWire", "WaybillSocket", "WaybillDatabase",
                "WaybillCapture", "WaybillJobs", "WaybillSessions", "WaybillTransfer", "CZeroMQ", arguments, logging,
                lifecycle, signals, crypto, grdb,
            ]),

        program("waybill-hub", ["WaybillHub", "WaybillModel", arguments, logging, lifecycle, signals]),
        program("waybill-agent", ["WaybillAgent", "WaybillModel", arguments, logging, lifecycle, signals]),
        program("waybill", ["WaybillConsole", "WaybillAdmin", "WaybillModel", arguments, httpClient]),

        tests("WaybillModelTests", ["WaybillModel"]),
        tests("WaybillWireTests", ["WaybillWire", "WaybillModel", crypto]),
        tests("WaybillSocketTests", ["WaybillSocket", logging]),
        tests("WaybillDatabaseTests", ["WaybillDatabase", grdb]),
        tests("WaybillDigestTests", ["WaybillDigest", "WaybillModel", "WaybillDatabase", grdb]),
        tests("WaybillCaptureTests", ["WaybillCapture", "WaybillDatabase", grdb]),
        tests("WaybillImportTests", ["WaybillImport", "WaybillCapture", "WaybillDatabase", "WaybillModel", grdb]),
        tests(
            "WaybillJobsTests",
            ["WaybillJobs", "WaybillPlan", "WaybillCapture", "WaybillDatabase", "WaybillModel", grdb]),
        tests("WaybillScheduleTests", ["WaybillSchedule", "WaybillJobs", "WaybillModel"]),
        tests(
            "WaybillPlanTests",
            [
                "WaybillPlan", "WaybillJobs", "WaybillCapture", "WaybillDatabase", "WaybillModel", "WaybillPackage",
                "WaybillApply", "WaybillWire", grdb,
            ]),
        tests("WaybillPackageTests", ["WaybillPackage", "WaybillWire", "WaybillDatabase", crypto, grdb]),
        tests("WaybillTransferTests", ["WaybillTransfer", "WaybillWire", "WaybillModel"]),
        tests("WaybillApplyTests", ["WaybillApply", "WaybillPackage", "WaybillWire", "WaybillDatabase", crypto, grdb]),
        tests("WaybillSessionsTests", ["WaybillSessions", "WaybillSchedule", "WaybillModel", "WaybillDatabase", grdb]),
        tests("WaybillAdminTests", ["WaybillAdmin", "WaybillConsole", "WaybillModel"]),
        tests(
            "WaybillHubTests",
            [
                "WaybillHub", "WaybillModel", "WaybillWire", "WaybillSessions", "WaybillAdmin", "WaybillCapture",
                "WaybillDatabase", "WaybillJobs", "WaybillPlan", "WaybillSchedule", "WaybillApply", "WaybillPackage",
                logging, lifecycle,
                httpClient, hummingbird, yams, grdb,
            ]),
        tests("WaybillAgentTests", ["WaybillAgent", "WaybillTransfer", "WaybillModel", "WaybillWire"]),
        tests("WaybillFaultDiskTests", ["WaybillFaultDisk", "WaybillDatabase", grdb]),
        tests("WaybillFuzzTests", ["WaybillFuzzing", "WaybillModel"]),
        // What the product's own databases are after every fault that a disk can have.
        tests(
            "WaybillFaultTests",
            [
                "WaybillFaultDisk", "WaybillApply", "WaybillPackage", "WaybillWire", "WaybillSessions", "WaybillPlan",
                "WaybillJobs", "WaybillCapture", "WaybillDatabase", "WaybillModel", grdb,
            ]),
        // Thousands of schedules of trouble, and planted bugs that they have to find.
        tests(
            "WaybillSimulationTests",
            [
                "WaybillSimulation", "WaybillHub", "WaybillCapture", "WaybillJobs", "WaybillSessions",
                "WaybillFaultDisk",
                "WaybillDatabase", "WaybillModel", "WaybillSocket", "WaybillWire", crypto, logging, grdb,
            ]),
        // Both halves of the protocol in one process, over a network of our own.
        tests(
            "WaybillConversationTests",
            ["WaybillHub", "WaybillAgent", "WaybillJobs", "WaybillSessions", "WaybillModel", "WaybillWire", grdb]),
        // Starts the built programs and looks at them from outside.
        tests(
            "WaybillSystemTests", ["WaybillModel", "WaybillDatabase", "WaybillSocket", "WaybillWire", protobuf, grdb]),
    ],
    swiftLanguageModes: [.v6]
)
