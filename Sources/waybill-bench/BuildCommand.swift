import ArgumentParser
import WaybillModel

/// Row 7: what building packages costs when thousands of stores are to have them.
struct BuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Row 7: build sessions for many stores, in one audience and in many.")

    @OptionGroup var options: BenchOptions
    @Option(help: "Stores of the large chain.")
    var stores: Int?
    @Option(help: "Audiences of the chain that has several.")
    var audiences: Int?
    @Option(help: "Rows of each audience.")
    var rows: Int?
    @Option(help: "Of those, rows that a delta changes.")
    var changed: Int?

    func run() async throws {
        try await options.inFolder("build") { folder in
            let groups = audiences ?? (options.quick ? 5 : 50)
            let rows = rows ?? (options.quick ? 2_000 : 20_000)
            let many = stores ?? (options.quick ? 500 : 5_000)
            let chains = try [(1, 1), (many, 1), (many, groups)].map { stores, audiences in
                try begun(
                    ChainSize(stores: stores, audiences: audiences, groups: groups, rowsPerGroup: rows), folder)
            }
            let changed = changed ?? rows / 2
            var building = BuildTimes()
            let runs = options.runCount(usual: 5)
            let delta = try building.measure(chains, runs: runs, isFull: false, changed: changed)
            let full = try building.measure(chains, runs: runs, isFull: true, changed: 0)
            try print(delta, "delta of \(changed) rows", many, groups)
            try print(full, "full package of \(rows) rows", many, groups, isGoal: [false, true])
            // Where all stores have one audience, it is that of all rows.
            let all = try [1, many].map { stores in
                try begun(ChainSize(stores: stores, audiences: 1, groups: 1, rowsPerGroup: rows * groups), folder)
            }
            let whole = try building.measure(all, runs: runs, isFull: true, changed: 0)
            try print(whole, "full package of \(rows * groups) rows", many, groups)
        }
    }

    /// The first load, which works everything out, is not what is measured.
    private func begun(_ size: ChainSize, _ folder: String) throws -> SteppedChain {
        let place = folder + "/\(size.stores)-\(size.audiences)-\(size.groups)"
        let chain = try SteppedChain(try BenchChain.make(at: place, size))
        let session = try chain.publish(isFull: true).session
        _ = chain.offer()
        try chain.settle(session)
        return chain
    }

    /// - Parameter isGoal: of one audience, and of many; or the line is for orientation.
    private func print(
        _ times: [BuildTimes.Chain], _ what: String, _ stores: Int, _ audiences: Int, isGoal: [Bool] = [true, true]
    ) throws {
        for (number, (chain, limit)) in zip(times.dropFirst(), [1.1, 1.1 * Double(audiences)]).enumerated() {
            let ratio = chain.building.median / times[0].building.median
            try BenchLine(
                row: 7,
                what:
                    "building for \(stores) stores in \(chain.packages == 1 ? "one audience" : "\(chain.packages) audiences"), \(what)",
                measured: (chain.building.median * 1000).rounded4, unit: "ms", ratio: ratio.rounded4,
                goal: isGoal[number] ? "≤ \(limit.told(limit < 2 ? 1 : 0))" : "-", against: "building for one store",
                met: isGoal[number] ? ratio <= limit : nil,
                note:
                    "\(chain.packages) packages; one store: \((times[0].building.median * 1000).told(1)) ms; runs \(chain.building.spread()) s; offering it afterwards, which writes a delivery for each store: \((chain.offering.median * 1000).told(1)) ms, one store \((times[0].offering.median * 1000).told(1)) ms"
            ).print()
        }
    }
}

/// Times of the same session in chains of different size, taken in turns.
struct BuildTimes {
    struct Chain {
        var building = Sample()
        var offering = Sample()
        var packages = 0
    }

    mutating func measure(
        _ chains: [SteppedChain], runs: Int, isFull: Bool, changed: Int
    ) throws -> [Chain] {
        var times = chains.map { _ in Chain() }
        for _ in 0..<runs {
            for (number, chain) in chains.enumerated() {
                if !isFull { try chain.chain.change(rows: changed, ofGroups: chain.chain.size.audiences) }
                let (session, time) = try chain.publish(isFull: isFull)
                times[number].building.add(time)
                times[number].offering.add(chain.offer())
                times[number].packages = try chain.packages(of: session)
                try chain.settle(session)
            }
        }
        return times
    }
}
