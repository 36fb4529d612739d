import GRDB

extension PackagePlan {
    /// Puts the scopes of one table into TEMP tables, for the queries that fill and count.
    ///
    /// `scope_now` and `scope_before` hold the scopes to look at, `scope_held` all that the stores had, `scope_seen` all
    /// that they are to have.
    func stageScopes(of table: String, in db: Database) throws {
        func scopes(_ set: ScopeSet) -> [String] { set.entries.filter { $0.table == table }.map(\.scope) }
        let now = scopes(scopesNow)
        let before = scopes(scopesBefore)
        try db.execute(
            sql: """
                DROP TABLE IF EXISTS temp.scope_seen;
                DROP TABLE IF EXISTS temp.scope_now;
                DROP TABLE IF EXISTS temp.scope_before;
                DROP TABLE IF EXISTS temp.scope_held;
                CREATE TEMP TABLE scope_seen (scope TEXT PRIMARY KEY) WITHOUT ROWID;
                CREATE TEMP TABLE scope_now (scope TEXT PRIMARY KEY, is_before INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TEMP TABLE scope_before (scope TEXT PRIMARY KEY, is_now INTEGER NOT NULL) WITHOUT ROWID;
                CREATE TEMP TABLE scope_held (scope TEXT PRIMARY KEY) WITHOUT ROWID;
                """)
        let (isBefore, isNow) = (Set(before), Set(now))
        for scope in now {
            try db.execute(
                sql: "INSERT INTO temp.scope_now VALUES (?, ?)", arguments: [scope, isBefore.contains(scope)])
        }
        for scope in before {
            try db.execute(
                sql: "INSERT INTO temp.scope_before VALUES (?, ?)", arguments: [scope, isNow.contains(scope)])
        }
        for scope in scopes(audience) {
            try db.execute(sql: "INSERT INTO temp.scope_seen VALUES (?)", arguments: [scope])
        }
        for scope in scopes(scopesHeld) {
            try db.execute(sql: "INSERT INTO temp.scope_held VALUES (?)", arguments: [scope])
        }
    }
}
