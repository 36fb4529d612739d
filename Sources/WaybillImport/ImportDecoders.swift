import GRDB

/// The readers of files from outside, each as one call, for whoever throws damaged files at them.
package enum ImportDecoders {
    /// What a CSV file comes to.
    package struct Records: Equatable {
        package var records = 0
        package var fieldsMax = 0
        package var recordBytesMax = 0
        /// Over every value, in order.
        package var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325
    }

    package static let recordBytesMax = CSVLimits.fieldsMax * CSVLimits.fieldBytesMax
    package static let fieldsMax = CSVLimits.fieldsMax

    /// - Parameter piece: bytes fed at a time: where the file is cut must not matter.
    package static func csv(_ bytes: [UInt8], piece: Int) -> Records {
        var parser = CSVParser()
        var result = Records()
        func take(_ record: borrowing CSVRecord) {
            result.records += 1
            result.fieldsMax = max(result.fieldsMax, record.fields.count)
            result.recordBytesMax = max(result.recordBytesMax, record.bytes.count)
            result.mix(UInt64(record.line))
            result.mix(UInt64(record.fieldCount))
            for field in record.fields {
                result.mix(field.isQuoted ? 1 : 0)
                result.mix(field.fault == nil ? 0 : 1)
                for byte in record.bytes[field.range] { result.mix(UInt64(byte)) }
            }
        }
        bytes.withUnsafeBufferPointer { whole in
            var start = 0
            while start < whole.count {
                let end = min(whole.count, start + max(1, piece))
                parser.feed(UnsafeBufferPointer(rebasing: whole[start..<end]), take: take)
                start = end
            }
        }
        parser.finish(take: take)
        return result
    }

    /// The tables of an HQ without any of its own.
    package static func tables() throws -> HQTableList { try DatabaseQueue().read { try HQTableList(in: $0) } }

    /// - Returns: whether the text is a mapping that could be used.
    package static func mapping(_ text: String, tables: HQTableList) -> Bool {
        switch MappingReading.read(text, name: "erp.yaml", tables: tables) {
        case .mapping: true
        case .broken(let broken): broken.faults.isEmpty
        }
    }
}

extension ImportDecoders.Records {
    /// FNV-1a.
    fileprivate mutating func mix(_ value: UInt64) { fingerprint = (fingerprint ^ value) &* 0x100_0000_01b3 }
}
