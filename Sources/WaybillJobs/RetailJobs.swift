import WaybillModel

/// The jobs that turn head office's retail tables into what the stores' tills read.
///
/// Each is an ordinary ``Job``: nothing in the plan knows that it is retail. The rules they follow are those of
/// Microsoft's public documents on assortments, modes of delivery and price management; where a document is
/// silent, the comment at the query says what we chose.
public enum RetailJobs {
    /// In the order in which a store that starts empty needs them: what is sold, how it is delivered, what it costs.
    public static let all: [Job] = [assortments, deliveryModes, prices]
}

/// A table that lives for one run of a job, and the index its readers rely on.
///
/// Names begin with `retail_`, so that neither an HQ table nor a user's own one is hidden by it.
struct TemporaryTable {
    var name: String
    /// The SELECT that fills it.
    var query: String
    /// Columns of its index, nil where every reader scans the table.
    var index: [String]?

    init(_ name: String, index: [String]? = nil, _ query: String) {
        self.name = name
        self.index = index
        self.query = query
    }

    var statements: [String] {
        let create = "CREATE TEMP TABLE \(name) AS\n\(query)"
        guard let index else { return [create] }
        return [create, "CREATE INDEX temp.\(name)_index ON \(name) (\(index.joined(separator: ", ")))"]
    }
}

extension Job {
    /// A job of ours: its temporary tables give both `prepare` and the names to drop.
    init(retail name: String, title: String, inputs: [String], temporary: [TemporaryTable], subjobs: [Subjob]) {
        guard let id = JobID(name) else { preconditionFailure("'\(name)' cannot name a job") }
        self.init(
            id: id, title: title, inputs: inputs, prepare: temporary.flatMap(\.statements),
            temporaryTables: temporary.map(\.name), subjobs: subjobs)
    }
}
