import WaybillModel

/// The jobs that turn head office's retail tables into what the stores' tills read.
///
/// Each is an ordinary job file, in the folder `Retail`: nothing in the plan knows that it is retail. The rules they
/// follow are those of Microsoft's public documents on assortments, modes of delivery and price management; where a
/// document is silent, the comment at the query says what we chose.
public enum RetailJobs {
    /// In the order in which a store that starts empty needs them: what is sold, how it is delivered, what it costs.
    public static let all: [Job] = [assortments, deliveryModes, prices]

    public static let assortments = job("assortments")
    public static let deliveryModes = job("delivery-modes")
    public static let prices = job("prices")

    /// Name and text of each file, for people to read and copy.
    public static let files: [(name: String, text: String)] = [
        ("assortments.yaml", text(PackageResources.assortments_yaml)),
        ("delivery-modes.yaml", text(PackageResources.delivery_modes_yaml)),
        ("prices.yaml", text(PackageResources.prices_yaml)),
    ]

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func job(_ name: String) -> Job {
        do {
            guard let file = files.first(where: { $0.name == name + ".yaml" }) else {
                preconditionFailure("no file of this name is part of the program")
            }
            var job = try JobFile.read(file.text, file: file.name)
            job.file = nil
            return job
        } catch {
            // The files are part of the program, and a test reads each of them.
            preconditionFailure("\(error)")
        }
    }
}
