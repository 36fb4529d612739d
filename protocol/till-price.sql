-- What does a product cost at this till? One statement over the tables of job `prices`, to be used as it is.
--
-- Parameters (SQLite's named ones; dates as 'YYYY-MM-DD'):
--   :product_id   the product
--   :unit         the unit it is sold in, e.g. 'ea'
--   :currency     the currency to be paid in, e.g. 'EUR'
--   :quantity     how many, as a number or as text ('2.5'); up to 4 decimals count
--   :date         the day of the sale; prices of days to come are in the tables already
--   :customer_id  the customer, or NULL if nobody is named
--
-- Answer: always one row.
--   base_price               HQ's price for one, in :currency; NULL if there is none for this unit or currency
--   trade_agreement_price    the price agreed for product, quantity, day and customer; else the base price
--   active_price             what to charge for one; NULL if the product has no price here
--   price_source             table (this customer), group (a price group of this store), all (everyone), base, none
--   trade_agreement_line_id  HQ's line that gave the price, NULL for base and none
--   adjustment_id            HQ's adjustment that lowered the price further, NULL if none did
-- Prices are text with 2 decimals, rounded half up ('4.50').
--
-- All arithmetic is in whole numbers: names ending in _e4 count ten-thousandths, _e6 millionths, _e2 cents.
-- Half up in whole numbers: (number + divisor / 2) / divisor. Each table is searched by its primary key, so no
-- index is needed. The tables hold what concerns this store only; a validity that is NULL has no limit, and both
-- ends of a validity belong to it.
WITH
asked AS (
    SELECT CAST(round(:quantity * 10000) AS INTEGER) AS quantity_e4
),

-- The base price, by the last exchange rate on or before the day if it is kept in another currency. (Beyond
-- 900 million of a currency the product below leaves 64 bits; SQLite then goes on in floating point, hence CAST.)
base AS (
    SELECT CAST((base_price_e4 * rate_e6 + 50000000) / 100000000 AS INTEGER) AS price_e2
    FROM (
        SELECT
            base_price_e4,
            CASE WHEN currency = :currency THEN 1000000 ELSE (
                SELECT exchange_rate.rate_e6
                FROM exchange_rate
                WHERE exchange_rate.from_currency = price_base.currency
                    AND exchange_rate.to_currency = :currency
                    AND exchange_rate.valid_from <= :date
                ORDER BY exchange_rate.valid_from DESC
                LIMIT 1
            ) END AS rate_e6
        FROM price_base
        WHERE product_id = :product_id AND unit = :unit
    )
    WHERE rate_e6 IS NOT NULL
),

-- The agreement lines that fit, each with its price for one: 10.00 for 50 is 0.20.
candidate AS (
    SELECT
        line_id, account_code, priority, find_next,
        (200 * amount_e4 + price_unit_e4) / (2 * price_unit_e4) AS price_e2
    FROM trade_agreement
    WHERE product_id = :product_id AND unit = :unit AND currency = :currency
        AND (account_code <> 'table' OR account_relation = :customer_id)
        AND (quantity_from_e4 IS NULL OR quantity_from_e4 <= (SELECT quantity_e4 FROM asked))
        AND (quantity_to_e4 IS NULL OR quantity_to_e4 >= (SELECT quantity_e4 FROM asked))
        AND (from_date IS NULL OR from_date <= :date)
        AND (to_date IS NULL OR to_date >= :date)
),

-- Only the highest priority counts. Its lines are walked in this order ...
walk AS (
    SELECT
        line_id, account_code, find_next, price_e2,
        row_number() OVER (
            ORDER BY CASE account_code WHEN 'table' THEN 1 WHEN 'group' THEN 2 ELSE 3 END, price_e2, line_id
        ) AS step
    FROM candidate
    WHERE priority = (SELECT max(priority) FROM candidate)
),

-- ... up to the first line that does not say "find next", and the lowest price met on the way is taken.
agreement AS (
    SELECT account_code, line_id, price_e2
    FROM walk
    WHERE step <= ifnull((SELECT min(step) FROM walk WHERE find_next = 0), step)
    ORDER BY price_e2, step
    LIMIT 1
),

-- An agreement always comes before the base price, also a dearer one.
agreed AS (
    SELECT account_code AS price_source, line_id, price_e2 FROM agreement
    UNION ALL
    SELECT 'base', NULL, price_e2 FROM base WHERE NOT EXISTS (SELECT 1 FROM agreement)
),

-- What each adjustment in force would make of it; never below zero.
adjusted AS (
    SELECT
        price_adjustment.adjustment_id,
        max(0, CASE price_adjustment.kind
            WHEN 'percent' THEN (agreed.price_e2 * (1000000 - price_adjustment.value_e4) + 500000) / 1000000
            WHEN 'amount' THEN (agreed.price_e2 * 100 - price_adjustment.value_e4 + 50) / 100
            WHEN 'price' THEN (price_adjustment.value_e4 + 50) / 100
        END) AS price_e2
    FROM agreed
    JOIN price_adjustment ON price_adjustment.product_id = :product_id
    WHERE (price_adjustment.currency IS NULL OR price_adjustment.currency = :currency)
        AND (price_adjustment.from_date IS NULL OR price_adjustment.from_date <= :date)
        AND (price_adjustment.to_date IS NULL OR price_adjustment.to_date >= :date)
),

-- The lowest wins, if it lowers the price at all.
best AS (
    SELECT adjustment_id, price_e2
    FROM adjusted
    WHERE price_e2 < (SELECT price_e2 FROM agreed)
    ORDER BY price_e2, adjustment_id
    LIMIT 1
),

answer AS (
    SELECT
        base.price_e2 AS base_e2, agreed.price_e2 AS agreed_e2, ifnull(best.price_e2, agreed.price_e2) AS active_e2,
        ifnull(agreed.price_source, 'none') AS price_source, agreed.line_id, best.adjustment_id
    FROM asked
    LEFT JOIN base
    LEFT JOIN agreed
    LEFT JOIN best
)

SELECT
    CASE WHEN base_e2 IS NOT NULL THEN printf('%d.%02d', base_e2 / 100, base_e2 % 100) END AS base_price,
    CASE WHEN agreed_e2 IS NOT NULL THEN printf('%d.%02d', agreed_e2 / 100, agreed_e2 % 100) END
        AS trade_agreement_price,
    CASE WHEN active_e2 IS NOT NULL THEN printf('%d.%02d', active_e2 / 100, active_e2 % 100) END AS active_price,
    price_source,
    line_id AS trade_agreement_line_id,
    adjustment_id
FROM answer
