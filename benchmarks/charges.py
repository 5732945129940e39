"""Charges per second in SQL: `reserve_generation` beside the shortest single statement that does the same."""

from __future__ import annotations

from statistics import median

from benchmarks import database

TABLES = (
    "tiers",
    "prices",
    "credit_prices",
    "provider_switches",
    "customers",
    "balances",
    "grants",
    "idempotency_keys",
    "generations",
    "credit_transactions",
    "movements",
    "events",
)
PLAIN = "-c search_path=plain,public"
PARAMETERS = "\\set customer random(1, {customers})\n"
CHARGE = """
SELECT outcome, balance, credits FROM reserve_generation(
    uuidv7()::text, sha256('request'), uuidv7(), uuidv7(), 'customer-' || :customer, 'wavespeed',
    'bytedance/seedream-v4', 'image', '{"prompt": "a lighthouse at dawn"}', NULL, NULL,
    sha256(uuid_send(uuidv7())), 'image', 1, '', 'platform', NULL, 'UTC', '2 minutes');
"""
SHORTEST = """
WITH request AS MATERIALIZED (
    SELECT uuidv7()::text AS key, uuidv7() AS generation_id, uuidv7() AS transaction_id, clock_timestamp() AS at,
           'customer-' || :customer AS customer_id, price.credits, cost.id AS price_id, cost.unit_price_micros
      FROM (SELECT credits FROM credit_prices WHERE provider = 'wavespeed' AND model = 'bytedance/seedream-v4'
               AND effective_from <= now() ORDER BY effective_from DESC LIMIT 1) AS price,
           (SELECT id, round(unit_price_micros * 1::numeric / per)::bigint AS unit_price_micros FROM prices
             WHERE provider = 'wavespeed' AND model IN ('bytedance/seedream-v4', '*') AND unit = 'image'
               AND qualifier = '' AND effective_from <= now() AND (effective_to IS NULL OR effective_to > now())
               AND withdrawn_at IS NULL
             ORDER BY model = '*' LIMIT 1) AS cost
     WHERE NOT EXISTS (SELECT FROM provider_switches WHERE provider = 'wavespeed'
                          AND model IN ('bytedance/seedream-v4', '*'))
), key AS (
    INSERT INTO idempotency_keys (key, fingerprint, resource_id)
    SELECT key, sha256('request'), generation_id FROM request ON CONFLICT DO NOTHING RETURNING key
), balance AS (
    UPDATE balances SET balance = balance - credits, entries = entries + 1, updated_at = at,
           last_charged_day = (at AT TIME ZONE 'UTC')::date
      FROM request JOIN key USING (key)
     WHERE balances.customer_id = request.customer_id AND balance >= credits
    RETURNING balances.customer_id, balance, entries
), spent AS (
    UPDATE grants SET remaining = remaining - request.credits FROM request
     WHERE grants.id = (SELECT id FROM grants AS open WHERE open.customer_id = request.customer_id
                           AND open.remaining > 0 AND open.remaining >= request.credits
                         ORDER BY source = 'purchase', expires_at NULLS LAST, id LIMIT 1)
       AND EXISTS (SELECT FROM balance)
    RETURNING grants.id
), generation AS (
    INSERT INTO generations (id, customer_id, tier, provider, model, kind, input, status, credits_charged,
                             callback_token_hash, unit, quantity, qualifier, price_id, cost_micros, cost_source,
                             actor, charged_at, check_at)
    SELECT generation_id, customers.id, tier, 'wavespeed', 'bytedance/seedream-v4', 'image',
           '{"prompt": "a lighthouse at dawn"}', 'charged', credits, sha256(uuid_send(uuidv7())), 'image', 1, '',
           price_id, unit_price_micros, 'price_book', 'platform', at, at + interval '2 minutes'
      FROM request JOIN balance USING (customer_id) JOIN customers ON customers.id = customer_id
    RETURNING tier
), transaction AS (
    INSERT INTO credit_transactions (id, customer_id, entry, kind, amount, balance_after, generation_id, actor,
                                     reason, occurred_at)
    SELECT transaction_id, customer_id, entries, 'charge', -credits, balance, generation_id, 'platform',
           'bytedance/seedream-v4', at FROM request JOIN balance USING (customer_id)
), movement AS (
    INSERT INTO movements (transaction_id, grant_id, credits)
    SELECT transaction_id, spent.id, -credits FROM request, spent
)
INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, generations,
                    credits_charged, cost_micros, credits, holders)
SELECT at, 'charge', customer_id, generation_id, tier, 'wavespeed', 'bytedance/seedream-v4', 'image', 1,
       credits, unit_price_micros, -credits, -(balance = 0)::int
  FROM request JOIN balance USING (customer_id), generation
RETURNING credits;
"""


def measure(
    server: database.Server, *, rounds: int, seconds: float, customers: int
) -> dict[int, tuple[float, float]]:
    """Charges per second by number of clients: ours, the shortest statement's."""
    url = database.make(server, "charges")
    database.add_customers(url, customers)
    copy_without_rules(url)
    parameters = PARAMETERS.format(customers=customers)
    results = {}
    for clients in (1, 8):
        ours, shortest = [], []
        for _ in range(rounds):
            shortest.append(
                database.pgbench(url, parameters + SHORTEST, clients=clients, seconds=seconds, setup=PLAIN)
            )
            ours.append(database.pgbench(url, parameters + CHARGE, clients=clients, seconds=seconds))
        results[clients] = (median(ours), median(shortest))
    _check(url)
    server.drop_database("charges")
    return results


def _check(url: str) -> None:
    """Both charged for generations: a refusal would be fast, and no error."""
    with database.connect(url) as connection:
        for schema in ("public", "plain"):
            counted = connection.execute(f"SELECT count(*) > 0 FROM {schema}.generations").fetchone()
            assert counted == (True,), f"nothing was charged for in {schema}"


def copy_without_rules(url: str) -> None:
    """The same tables, rows, indexes and foreign keys in the schema `plain`, without triggers."""
    with database.connect(url) as connection:
        connection.execute("CREATE SCHEMA plain")
        keys = connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'f' AND conrelid::regclass::text = ANY(%(tables)s) "
            "AND confrelid::regclass::text = ANY(%(tables)s)",  # grants of the benchmark belong to no purchase
            {"tables": list(TABLES)},
        ).fetchall()
        for table in TABLES:
            connection.execute(f"CREATE TABLE plain.{table} (LIKE public.{table} INCLUDING ALL)")
            connection.execute(f"INSERT INTO plain.{table} SELECT * FROM public.{table}")
        connection.execute("SET search_path = plain")
        for table_name, name, definition in keys:
            connection.execute(f"ALTER TABLE {table_name} ADD CONSTRAINT {name} {definition}")
        connection.execute("VACUUM ANALYZE")
