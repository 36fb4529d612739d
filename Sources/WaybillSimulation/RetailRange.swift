import GRDB
import WaybillCapture
import WaybillModel

/// Head office's tables behind the retail job `assortments`, and what a store must hold of them: worked out day by day
/// and product by product from the rules, without SQL.
struct RetailRange: Sendable {
    struct Line: Sendable {
        var includes: Bool
        /// One of the two.
        var category: String?
        var product: String?
    }

    struct Assortment: Sendable {
        var isPublished: Bool
        var from: Int
        var to: Int?
        var nodes: Set<String> = []
        var lines: [Int: Line] = [:]
    }

    struct Product: Sendable {
        /// May name a category that does not exist.
        var category: String?
        var name: String
        /// By legal entity: whether it is stopped there.
        var releases: [String: Bool]
    }

    struct Store: Sendable {
        var node: String
        var entity: String
    }

    static let tables: Set<String> = [
        "org_node", "legal_entity", "store", "category", "product", "product_release", "assortment", "assortment_line",
        "assortment_node",
    ]
    static let nodeParents = ["n0": "", "n1": "n0", "n2": "n0", "n3": "n1"]
    static let categoryParents = ["c0": "", "c1": "c0", "c2": "c0", "c3": "c1"]
    static let entities = ["e1", "e2"]
    private static let nodes = ["n0", "n1", "n2", "n3"]
    /// The last is none.
    private static let categories = ["c0", "c1", "c2", "c3", "cx"]
    private static let productCount = 6
    private static let assortmentCount = 3
    /// Dates are days of one month, and nothing changes after the last.
    private static let lastDay = 25

    var stores: [String: Store] = [:]
    var products: [String: Product] = [:]
    var assortments: [String: Assortment] = [:]

    // MARK: truth

    func content(_ store: StoreID) -> StoreContent {
        var content: StoreContent = ["category": [], "product": [], "assorted_product": []]
        guard let place = stores[store.rawValue] else { return content }
        var categories: Set<String> = []
        for (id, product) in products {
            let runs = runs(of: id, product, at: place)
            guard !runs.isEmpty else { continue }
            for run in runs {
                content["assorted_product", default: []].append(
                    RowText.of([id, RetailRange.date(run.from), run.to.map(RetailRange.date)]))
            }
            content["product", default: []].append(RowText.of([id, product.category, product.name, nil]))
            categories.formUnion(RetailRange.above(product.category, in: RetailRange.categoryParents))
        }
        content["category"] = categories.map { id in
            let parent = RetailRange.categoryParents[id].flatMap { $0.isEmpty ? nil : $0 }
            return RowText.of([id, parent, "name of " + id])
        }
        return content.mapValues { $0.sorted() }
    }

    private func runs(of id: String, _ product: Product, at place: Store) -> [(from: Int, to: Int?)] {
        var runs: [(from: Int, to: Int?)] = []
        var begun: Int?
        for day in 1...RetailRange.lastDay + 2 {
            let isSold = isSold(id, product, at: place, on: day)
            if isSold, begun == nil { begun = day }
            if !isSold, let from = begun {
                runs.append((from, day - 1))
                begun = nil
            }
        }
        if let begun { runs.append((begun, nil)) }
        return runs
    }

    private func isSold(_ id: String, _ product: Product, at place: Store, on day: Int) -> Bool {
        guard product.releases[place.entity] != nil, product.releases.values.contains(false) else { return false }
        let nodes = RetailRange.above(place.node, in: RetailRange.nodeParents)
        let categories = RetailRange.above(product.category, in: RetailRange.categoryParents)
        var isIncluded = false
        for assortment in assortments.values
        where assortment.isPublished && assortment.from <= day && day <= assortment.to ?? .max
            && !nodes.isDisjoint(with: assortment.nodes)
        {
            for line in assortment.lines.values
            where line.product == id || line.category.map(categories.contains) ?? false {
                if !line.includes { return false }
                isIncluded = true
            }
        }
        return isIncluded
    }

    /// The place itself and all above it; nothing for one that does not exist.
    private static func above(_ place: String?, in parents: [String: String]) -> Set<String> {
        var found: Set<String> = []
        var next = place
        while let here = next, let parent = parents[here], found.insert(here).inserted { next = parent }
        return found
    }

    static func date(_ day: Int) -> String { "2026-03-" + (day < 10 ? "0" : "") + String(day) }
}

extension RetailRange {
    typealias Statement = (sql: String, arguments: StatementArguments)

    /// Everything that is there from the beginning.
    mutating func begin(_ chance: inout Chance) -> [Statement] {
        var statements: [Statement] = []
        for id in RetailRange.nodes {
            let parent = RetailRange.nodeParents[id].flatMap { $0.isEmpty ? nil : $0 }
            statements.append(("INSERT INTO org_node (node_id, parent_node_id) VALUES (?, ?)", [id, parent]))
        }
        for id in RetailRange.entities {
            statements.append(("INSERT INTO legal_entity (legal_entity_id, currency) VALUES (?, 'EUR')", [id]))
        }
        for id in RetailRange.categories where RetailRange.categoryParents[id] != nil {
            let parent = RetailRange.categoryParents[id].flatMap { $0.isEmpty ? nil : $0 }
            statements.append(
                (
                    "INSERT INTO category (category_id, parent_category_id, name) VALUES (?, ?, ?)",
                    [id, parent, "name of " + id]
                ))
        }
        for number in 1...RetailRange.productCount { statements += editProduct("p\(number)", &chance) }
        for number in 1...RetailRange.assortmentCount {
            let id = "a\(number)"
            assortments[id] = Assortment(isPublished: true, from: 1, to: nil)
            statements.append(
                (
                    """
                    INSERT INTO assortment (assortment_id, status, effective_from) VALUES (?, 'published', ?)
                    """, [id, RetailRange.date(1)]
                ))
            statements += editDates(id, &chance) + editNode(id, &chance) + editLine(id, &chance) + editLine(id, &chance)
        }
        return statements
    }

    mutating func add(_ store: StoreID, _ chance: inout Chance) -> [Statement] {
        let new = Store(
            node: RetailRange.nodes[chance.number(0...3)], entity: RetailRange.entities[chance.number(0...1)])
        stores[store.rawValue] = new
        return [
            (
                """
                INSERT INTO store (store_id, node_id, channel, legal_entity_id, currency) VALUES (?, ?, 'shop', ?, 'EUR')
                """, [store.rawValue, new.node, new.entity]
            )
        ]
    }

    mutating func move(_ store: StoreID, _ chance: inout Chance) -> [Statement] {
        let node = RetailRange.nodes[chance.number(0...3)]
        stores[store.rawValue]?.node = node
        return [("UPDATE store SET node_id = ? WHERE store_id = ?", [node, store.rawValue])]
    }

    /// One change of somebody at head office.
    mutating func edit(_ chance: inout Chance) -> [Statement] {
        let id = "a\(chance.number(1...RetailRange.assortmentCount))"
        switch chance.number(0...9) {
        case 0...1:
            let isPublished = assortments[id]?.isPublished != true
            assortments[id]?.isPublished = isPublished
            return [
                (
                    "UPDATE assortment SET status = ? WHERE assortment_id = ?",
                    [isPublished ? "published" : "draft", id]
                )
            ]
        case 2...3: return editDates(id, &chance)
        case 4...6: return editLine(id, &chance)
        case 7: return editNode(id, &chance)
        case 8: return editProduct("p\(chance.number(1...RetailRange.productCount))", &chance)
        default: return editRelease("p\(chance.number(1...RetailRange.productCount))", &chance)
        }
    }

    /// Also ends that come before the beginning: such an assortment is never in force.
    private mutating func editDates(_ id: String, _ chance: inout Chance) -> [Statement] {
        let from = chance.number(1...RetailRange.lastDay - 5)
        let to = chance.happens(0.7) ? chance.number(max(1, from - 2)...RetailRange.lastDay) : nil
        assortments[id]?.from = from
        assortments[id]?.to = to
        return [
            (
                "UPDATE assortment SET effective_from = ?, effective_to = ? WHERE assortment_id = ?",
                [RetailRange.date(from), to.map(RetailRange.date), id]
            )
        ]
    }

    private mutating func editLine(_ id: String, _ chance: inout Chance) -> [Statement] {
        let number = chance.number(1...4)
        if assortments[id]?.lines[number] != nil, chance.happens(0.3) {
            assortments[id]?.lines[number] = nil
            return [("DELETE FROM assortment_line WHERE assortment_id = ? AND line_no = ?", [id, number])]
        }
        var line = Line(includes: chance.happens(0.75))
        if chance.happens(0.5) {
            line.category = RetailRange.categories[chance.number(0...4)]
        } else {
            // One more than there are: it covers nothing.
            line.product = "p\(chance.number(1...RetailRange.productCount + 1))"
        }
        assortments[id]?.lines[number] = line
        return [
            (
                """
                INSERT INTO assortment_line (assortment_id, line_no, line_type, category_id, product_id)
                VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (assortment_id, line_no) DO UPDATE SET
                    line_type = excluded.line_type, category_id = excluded.category_id, product_id = excluded.product_id
                """, [id, number, line.includes ? "include" : "exclude", line.category, line.product]
            )
        ]
    }

    private mutating func editNode(_ id: String, _ chance: inout Chance) -> [Statement] {
        let node = RetailRange.nodes[chance.number(0...3)]
        if assortments[id]?.nodes.remove(node) != nil {
            return [("DELETE FROM assortment_node WHERE assortment_id = ? AND node_id = ?", [id, node])]
        }
        assortments[id]?.nodes.insert(node)
        return [("INSERT INTO assortment_node (assortment_id, node_id) VALUES (?, ?)", [id, node])]
    }

    private mutating func editProduct(_ id: String, _ chance: inout Chance) -> [Statement] {
        let isNew = products[id] == nil
        let category = chance.happens(0.1) ? nil : RetailRange.categories[chance.number(0...4)]
        let name = "name \(chance.number(1...9))"
        products[id] = Product(category: category, name: name, releases: products[id]?.releases ?? [:])
        return [
            (
                """
                INSERT INTO product (product_id, category_id, name) VALUES (?, ?, ?)
                ON CONFLICT (product_id) DO UPDATE SET category_id = excluded.category_id, name = excluded.name
                """, [id, category, name]
            )
        ] + (isNew ? editRelease(id, &chance) + editRelease(id, &chance) : [])
    }

    private mutating func editRelease(_ id: String, _ chance: inout Chance) -> [Statement] {
        let entity = RetailRange.entities[chance.number(0...1)]
        if products[id]?.releases[entity] != nil, chance.happens(0.3) {
            products[id]?.releases[entity] = nil
            return [("DELETE FROM product_release WHERE product_id = ? AND legal_entity_id = ?", [id, entity])]
        }
        let isStopped = chance.happens(0.25)
        products[id]?.releases[entity] = isStopped
        return [
            (
                """
                INSERT INTO product_release (product_id, legal_entity_id, stopped) VALUES (?, ?, ?)
                ON CONFLICT (product_id, legal_entity_id) DO UPDATE SET stopped = excluded.stopped
                """, [id, entity, isStopped ? 1 : 0]
            )
        ]
    }
}
