"""The subject: a price table, the same rows at headquarters, in PostgreSQL and in the floor's copy."""
import os
import random
import sqlite3

GROUPS, VARIANTS, DATES = 4, 2, 2
ROWS_OF_AN_ITEM = GROUPS * VARIANTS * DATES
KEY = ("store_group", "item_id", "variant", "currency", "unit", "from_date")
TYPED = (
    "store_group INTEGER", "item_id INTEGER", "variant TEXT", "currency TEXT", "unit TEXT", "from_date TEXT",
    "to_date TEXT", "amount_cents INTEGER", "updated_at INTEGER")
COLUMNS = tuple(column.split()[0] for column in TYPED)

JOB = "price-list"
STORE_TABLE = "price"

# Without slices a run would compare the whole table; an HQ of millions of prices says by what it changes.
JOB_FILE = """\
job: price-list
title: Every price
slices:
  item:
    all: SELECT DISTINCT item_id FROM prices
    touched:
      prices: SELECT item_id FROM changed_prices
subjobs:
  - table: price
    key: [store_group, item_id, variant, currency, unit, from_date]
    columns:
      store_group: integer
      item_id: integer
      variant: text
      currency: text
      unit: text
      from_date: text
      to_date: text
      amount_cents: integer
      updated_at: integer
    rows: |
      SELECT store_group, item_id, variant, currency, unit, from_date, to_date, amount_cents, updated_at
      FROM prices
    slice: {item: item_id}
    stores: all
"""


def create_table(name: str, columns: tuple[str, ...] = TYPED, key: tuple[str, ...] = KEY) -> str:
    """Without rowid: what SQLite's manual advises for a composite key, and what makes the floor lowest."""
    declared = ",\n".join(f"            {column} NOT NULL" for column in columns)
    return f"""
        CREATE TABLE {name} (
{declared},
            PRIMARY KEY ({", ".join(key)})
        )"""


CREATE_SQLITE = create_table("prices") + " WITHOUT ROWID"
CREATE_STORE = create_table(STORE_TABLE) + " WITHOUT ROWID"
# Each row with the version since which it is true.
CREATE_HISTORY = create_table(
    "history", ("_scope TEXT", *TYPED, "_born INTEGER"), ("_scope", *KEY)) + " WITHOUT ROWID"
CREATE_POSTGRES = create_table("prices")


def items(rows: int) -> int:
    return rows // ROWS_OF_AN_ITEM


# In key order; the same expressions in both dialects give the same rows.
SELECT_ROWS = """
    SELECT g.n, i.n, CASE v.n WHEN 0 THEN 'BLACK' ELSE 'WHITE' END, 'EUR', 'PCS',
        CASE d.n WHEN 0 THEN '2026-01-01' ELSE '2026-07-01' END,
        CASE d.n WHEN 0 THEN '2026-06-30' ELSE '2026-12-31' END,
        99 + ((i.n % 100003) * 7919 + g.n * 131 + v.n * 17 + d.n * 7) % 100000, 1767225600"""


def fill_sqlite(db: sqlite3.Connection, rows: int) -> None:
    """The rows and, as an HQ that looks prices up by item would have it, an index by item."""
    db.execute(CREATE_SQLITE)
    db.execute(
        f"""
        INSERT INTO prices
        WITH RECURSIVE item (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM item WHERE n < {items(rows)}),
            g (n) AS (VALUES {", ".join(f"({n})" for n in range(1, GROUPS + 1))}),
            v (n) AS (VALUES (0), (1)), d (n) AS (VALUES (0), (1))
        {SELECT_ROWS} FROM g CROSS JOIN item AS i CROSS JOIN v CROSS JOIN d""")
    db.execute("CREATE INDEX prices_by_item ON prices (item_id)")


def fill_postgres(rows: int) -> str:
    return f"""
        INSERT INTO prices
        {SELECT_ROWS}
        FROM generate_series(1, {GROUPS}) AS g (n) CROSS JOIN generate_series(1, {items(rows)}) AS i (n)
            CROSS JOIN generate_series(0, 1) AS v (n) CROSS JOIN generate_series(0, 1) AS d (n)
        ORDER BY 1, 2, 3, 4, 5, 6"""


def update(part: int, stamp: int) -> str:
    """Changes one row in `part`, spread over the whole table. Both dialects."""
    condition = "" if part == 1 else f" WHERE item_id % {part} = {stamp % part}"
    return f"UPDATE prices SET amount_cents = amount_cents + 1, updated_at = {stamp}{condition}"


def updated_item(part: int, stamp: int) -> int:
    """An item that `update` has changed."""
    return part + stamp % part


def update_few(generator: random.Random, rows: int, count: int, stamp: int) -> tuple[list[str], int]:
    """Statements that change `count` rows of as many items, and one of the items. Both dialects."""
    chosen = generator.sample(range(1, items(rows) + 1), count)
    statements = [
        f"UPDATE prices SET amount_cents = amount_cents + 1, updated_at = {stamp} WHERE store_group = 1 "
        f"AND item_id = {item} AND variant = 'BLACK' AND currency = 'EUR' AND unit = 'PCS' AND from_date = '2026-01-01'"
        for item in chosen]
    return statements, chosen[0]


def look_up(table: str, item: int) -> str:
    """The stamp of one row. Both dialects."""
    return (f"SELECT updated_at FROM {table} WHERE store_group = 1 AND item_id = {item} AND variant = 'BLACK' "
            "AND currency = 'EUR' AND unit = 'PCS' AND from_date = '2026-01-01'")


def contents(table: str) -> str:
    """Tells two sets of rows from each other well enough. Both dialects."""
    mixed = "CAST(item_id AS bigint) * amount_cents"
    return f"SELECT count(*), sum(amount_cents), sum(updated_at), sum({mixed}) FROM {table}"


def sqlite_contents(path: str, table: str) -> tuple[str, ...]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        return tuple(map(str, db.execute(contents(table)).fetchone()))
    finally:
        db.close()


def write_job(home: str) -> None:
    os.makedirs(f"{home}/jobs", exist_ok=True)
    with open(f"{home}/jobs/{JOB}.yaml", "w") as file:
        file.write(JOB_FILE)
