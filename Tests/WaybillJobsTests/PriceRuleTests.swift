import Testing
import WaybillJobs

/// The edges of the price rules, as a till sees them.
@Suite struct PriceRuleTests {
    /// One store in EUR, price groups CITY (0), VIP (5) and ELSE that it does not have; tea for 10.00 the piece.
    private func chain(base: String = "10.0000") throws -> Headquarters {
        let hq = try Headquarters()
        try hq.fill("legal_entity", "LE,EUR")
        try hq.fill("store", "S1,N1,store,One,DE,,LE,EUR")
        try hq.fill("category", "ALL,,All", "TEA,ALL,Tea")
        try hq.fill("product", "tea,TEA,Tea,ea")
        try hq.fill("product_release", "tea,LE,\(base),0")
        try hq.fill("price_group", "CITY,City,0", "VIP,Very important,5", "ELSE,Elsewhere,99")
        try hq.fill("store_price_group", "S1,CITY", "S1,VIP")
        return hq
    }

    /// The till's answer without its base price: agreed, active, source, line, adjustment.
    private func answer(
        _ hq: Headquarters, _ question: PriceQuestion = PriceQuestion(product: "tea")
    ) throws -> [String?] {
        try hq.run([RetailJobs.prices])
        return try hq.withStore("S1", [RetailJobs.prices]) { db in Array(try price(question, in: db).dropFirst()) }
    }

    // MARK: Base price

    @Test(arguments: [
        ("0.0000", "0.00"), ("1.0050", "1.01"), ("1.0049", "1.00"), ("0.0050", "0.01"), ("9.9950", "10.00"),
    ])
    func theBasePriceIsRoundedHalfUpAndMayBeZero(base: String, rounded: String) throws {
        #expect(try answer(chain(base: base)) == [rounded, rounded, "base", nil, nil])
    }

    @Test func withoutAnyPriceThereIsStillARow() throws {
        let hq = try chain(base: "")
        #expect(try answer(hq) == [nil, nil, "none", nil, nil])
        #expect(try answer(hq, PriceQuestion(product: "nobody knows it")) == [nil, nil, "none", nil, nil])
    }

    @Test func theBasePriceIsForTheSalesUnitOnly() throws {
        #expect(try answer(chain(), PriceQuestion(product: "tea", unit: "box")) == [nil, nil, "none", nil, nil])
    }

    @Test(arguments: [("2026-01-01", "10.51"), ("2026-06-30", "10.51"), ("2026-07-01", "11.00"), ("2025-12-31", nil)])
    func theLastRateOnOrBeforeTheDayConverts(date: String, converted: String?) throws {
        let hq = try chain()
        try hq.fill("exchange_rate", "EUR,USD,2026-01-01,1.050500", "EUR,USD,2026-07-01,1.1", "USD,EUR,2020-01-01,2")
        let question = PriceQuestion(product: "tea", currency: "USD", date: date)
        #expect(try answer(hq, question) == [converted, converted, converted == nil ? "none" : "base", nil, nil])
    }

    @Test func aFortuneConvertsToTheCent() throws {
        let hq = try chain(base: "400000.0100")
        try hq.fill("exchange_rate", "EUR,VND,2026-01-01,25000.000000")
        let answer = try answer(hq, PriceQuestion(product: "tea", currency: "VND"))
        #expect(answer.first == "10000000250.00")
    }

    // MARK: Trade agreements

    @Test func anAgreementIsUsedBeforeALowerBasePrice() throws {
        let hq = try chain()
        try hq.fill("trade_agreement", "L1,all,,tea,ea,EUR,,,,,12.0000,,1")
        #expect(try answer(hq) == ["12.00", "12.00", "all", "L1", nil])
    }

    @Test func equalPricesGoToTheFirstOfTableGroupAllAndThenToTheSmallestLine() throws {
        let hq = try chain()
        try hq.fill(
            "trade_agreement", "L1,all,,tea,ea,EUR,,,,,8.0000,,1", "L3,group,CITY,tea,ea,EUR,,,,,8.0000,,1",
            "L2,group,CITY,tea,ea,EUR,,,,,8.0000,,1", "L4,table,BEA,tea,ea,EUR,,,,,8.0000,,1")
        #expect(try answer(hq) == ["8.00", "8.00", "group", "L2", nil])
        #expect(try answer(hq, PriceQuestion(product: "tea", customer: "BEA")) == ["8.00", "8.00", "table", "L4", nil])
        #expect(try answer(hq, PriceQuestion(product: "tea", customer: "ANN"))[2] == "group")
    }

    @Test func theWalkEndsAtTheFirstLineThatDoesNotSayFindNext() throws {
        let hq = try chain()
        try hq.fill(
            "trade_agreement", "L1,group,CITY,tea,ea,EUR,,,,,7.0000,,1", "L2,group,CITY,tea,ea,EUR,,,,,9.0000,,0",
            "L3,all,,tea,ea,EUR,,,,,5.0000,,1")
        #expect(try answer(hq) == ["7.00", "7.00", "group", "L1", nil])
        try hq.execute("UPDATE trade_agreement SET find_next = 1")
        #expect(try answer(hq) == ["5.00", "5.00", "all", "L3", nil])
        try hq.execute("UPDATE trade_agreement SET find_next = 0 WHERE line_id = 'L1'")
        #expect(try answer(hq) == ["7.00", "7.00", "group", "L1", nil])
    }

    @Test func theHighestPriorityPresentSilencesTheOthers() throws {
        let hq = try chain()
        try hq.fill(
            "trade_agreement", "L1,group,VIP,tea,ea,EUR,,,,,9.5000,,1", "L2,group,CITY,tea,ea,EUR,,,,,3.0000,,1",
            "L3,table,BEA,tea,ea,EUR,,,,,2.0000,,1", "L4,group,ELSE,tea,ea,EUR,,,,,1.0000,,1")
        let bea = PriceQuestion(product: "tea", customer: "BEA")
        #expect(try answer(hq, bea) == ["9.50", "9.50", "group", "L1", nil])
        try hq.execute("UPDATE trade_agreement SET to_date = '2026-06-14' WHERE line_id = 'L1'")
        #expect(try answer(hq, bea) == ["2.00", "2.00", "table", "L3", nil])
        try hq.execute("UPDATE price_group SET priority = -1 WHERE price_group_id = 'CITY'")
        try hq.execute("DELETE FROM trade_agreement WHERE line_id = 'L3'")
        #expect(try answer(hq, bea) == ["3.00", "3.00", "group", "L2", nil])
    }

    @Test(arguments: [
        ("4.9999", "2026-06-15", nil), ("5", "2026-06-15", "L1"), ("9.5", "2026-06-15", "L1"),
        ("9.5001", "2026-06-15", nil), ("5", "2026-06-01", "L1"), ("5", "2026-05-31", nil), ("5", "2026-06-30", "L1"),
        ("5", "2026-07-01", nil),
    ])
    func bothEndsOfQuantityAndValidityBelongToTheLine(quantity: String, date: String, line: String?) throws {
        let hq = try chain()
        try hq.fill("trade_agreement", "L1,all,,tea,ea,EUR,5.0000,9.5000,2026-06-01,2026-06-30,8.0000,,1")
        #expect(try answer(hq, PriceQuestion(product: "tea", quantity: quantity, date: date))[3] == line)
    }

    @Test(arguments: [
        ("10.0000", "50", "0.20"), ("0.1250", "", "0.13"), ("10.0000", "3", "3.33"), ("1.0000", "8", "0.13"),
        ("4.0000", "0", "4.00"),
    ])
    func theAmountIsForThePriceUnit(amount: String, priceUnit: String, unitPrice: String) throws {
        let hq = try chain()
        try hq.fill("trade_agreement", "L1,all,,tea,ea,EUR,,,,,\(amount),\(priceUnit),1")
        #expect(try answer(hq).first == unitPrice)
    }

    @Test func aGroupCalledLikeTheScopeOfAllStaysAGroup() throws {
        let hq = try chain()
        try hq.fill("price_group", "*,Star,0")
        try hq.fill("trade_agreement", "L1,group,*,tea,ea,EUR,,,,,1.0000,,1")
        #expect(try answer(hq)[2] == "base")
    }

    // MARK: Adjustments

    @Test func theLowestAdjustmentWinsAndTiesGoToTheSmallestName() throws {
        let hq = try chain()
        try hq.fill(
            "price_adjustment", "J3,enabled,CITY,ALL,,,,,percent,20.0000", "J2,enabled,VIP,,tea,,,EUR,price,8.0000",
            "J1,enabled,CITY,TEA,,,,,amount,1.5000", "J4,disabled,CITY,,tea,,,,price,1.0000",
            "J5,enabled,ELSE,,tea,,,,price,1.0000", "J6,enabled,CITY,,tea,,,USD,price,1.0000",
            "J7,enabled,CITY,,tea,2026-06-16,,,price,1.0000", "J8,enabled,CITY,,tea,,2026-06-14,,price,1.0000")
        #expect(try answer(hq) == ["10.00", "8.00", "base", nil, "J2"])
    }

    @Test(arguments: [
        ("percent", "33.3300", "6.67", "J1"), ("percent", "0.0400", "10.00", nil), ("percent", "0.0500", "10.00", nil),
        ("percent", "0.0600", "9.99", "J1"), ("amount", "25.0000", "0.00", "J1"), ("amount", "0.0000", "10.00", nil),
        ("price", "10.0000", "10.00", nil), ("price", "12.0000", "10.00", nil), ("price", "0.0000", "0.00", "J1"),
    ])
    func anAdjustmentOnlyLowers(kind: String, value: String, active: String, adjustment: String?) throws {
        let hq = try chain()
        try hq.fill("price_adjustment", "J1,enabled,CITY,,tea,,,,\(kind),\(value)")
        #expect(try answer(hq) == ["10.00", active, "base", nil, adjustment])
    }

    @Test func withoutAPriceNothingIsAdjusted() throws {
        let hq = try chain(base: "")
        try hq.fill("price_adjustment", "J1,enabled,CITY,,tea,,,,price,1.0000")
        #expect(try answer(hq) == [nil, nil, "none", nil, nil])
    }

    @Test func anEmptyPriceGroupDoesNotPartStores() throws {
        let hq = try chain()
        try hq.fill("trade_agreement", "L1,group,CITY,tea,ea,EUR,,,,,8.0000,,1")
        try hq.run([RetailJobs.prices])
        #expect(try hq.scopes(of: "S1", in: "trade_agreement") == ["*", "group:CITY"])
        #expect(try hq.scopes(of: "S1", in: "price_adjustment").isEmpty)
    }
}
