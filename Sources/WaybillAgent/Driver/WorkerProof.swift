import WaybillApply
import WaybillModel
import WaybillWire

extension Worker {
    /// Answers a question about the store's tables. What cannot be read is part of the answer.
    func examine(_ question: HubLetter.Examine) {
        do {
            let examiner = try StoreExaminer(path: parts.home.database)
            defer { try? examiner.close() }
            post(.examined(try examiner.examine(question)))
        } catch {
            parts.logger.error("the tables of job \(question.job) cannot be examined: \(error)")
            let tables = question.tables.map {
                AgentLetter.Digests.Table(name: $0.name, fault: "table \($0.name) cannot be read: \(error)")
            }
            post(
                .examined(
                    AgentLetter.Digests(
                        id: question.id, step: question.step, job: nil, watermark: nil, tables: tables)))
        }
    }
}
