import Testing
import WaybillJobs
import WaybillModel

/// What job files say about tables that refer to each other.
@Suite struct ReferenceTests {
    private func file(_ references: String) -> String {
        """
        job: vouchers
        subjobs:
          - table: kind
            key: [kind_id]
            columns: {kind_id: text}
            rows: SELECT kind_id FROM kind
            stores: all
          - table: pair
            key: [a, b]
            columns: {a: text, b: text}
            rows: SELECT a, b FROM pair
            stores: all
          - table: voucher
            key: [voucher_id]
            columns: {voucher_id: text, kind_id: text}
            references: \(references)
            rows: SELECT voucher_id, kind_id FROM voucher
            stores: all
        """
    }

    private func faults(_ references: String) -> String {
        do {
            _ = try JobFile.read(file(references), file: "vouchers.yaml")
            return ""
        } catch { return error.faults.map(\.description).joined(separator: "\n") }
    }

    @Test func aReferenceIsReadByColumn() throws {
        let job = try JobFile.read(file("{kind_id: kind}"), file: "vouchers.yaml")
        #expect(job.subjobs.map(\.references) == [[:], [:], ["kind_id": "kind"]])
    }

    @Test(arguments: [
        ("{kind: kind}", "there is no column kind for 'references'"),
        ("{kind_id: knid}", "column kind_id refers to knid, which is no table of this job"),
        ("{kind_id: pair}", "table pair has a key of 2 columns"),
        ("{kind_id: [kind]}", "'references' names the table that column kind_id refers to"),
        ("{}", "'references' names no column"),
    ])
    func whatCannotBeMeantIsNamed(references: String, fault: String) {
        #expect(faults(references).contains(fault))
    }

    @Test func theRetailTablesSayWhatTheyReferTo() {
        let references = RetailJobs.all.flatMap(\.subjobs).reduce(into: [:]) { $0[$1.table.name] = $1.references }
        #expect(
            references.filter { !$0.value.isEmpty } == [
                "category": ["parent_category_id": "category"], "product": ["category_id": "category"],
                "assorted_product": ["product_id": "product"], "product_delivery_mode": ["mode_id": "delivery_mode"],
                "delivery_mode_address": ["mode_id": "delivery_mode"],
            ])
    }
}
