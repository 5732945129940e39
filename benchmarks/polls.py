"""Milliseconds of database time for one dashboard poll, beside the same figures aggregated from the raw rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from psycopg import ClientCursor, Connection
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session

from benchmarks import database
from makegood import rollups, stats
from makegood.terms import Terms

TERMS = Terms()
DAYS = 400
TAIL = 1_000

# Eight providers of three models each, three tiers, 5 % failures of four classes, all refunded; 10 to 90 seconds.
FILL = """
    SET session_replication_role = replica;
    INSERT INTO customers (id, tier)
        SELECT 'customer-' || n, (ARRAY['free', 'plus', 'pro'])[1 + n %% 3]
          FROM generate_series(1, %(customers)s) AS n;
    CREATE TEMPORARY TABLE made AS
        SELECT uuidv7(at - now()) AS id, n, at, 'customer-' || customer AS customer_id,
               (ARRAY['free', 'plus', 'pro'])[1 + customer %% 3] AS tier,
               'provider-' || n %% 8 AS provider, 'model-' || n %% 24 AS model,
               CASE WHEN n %% 20 = 0 THEN 'failed' ELSE 'succeeded' END AS status,
               (ARRAY['generation_failed', 'timeout', 'internal_error', 'storage_error'])[1 + n / 20 %% 4]
                   AS error,
               10000 + n * 7919::bigint %% 80000 AS latency
          FROM (SELECT n, CASE WHEN n / 20 %% 100 < %(house)s THEN 1
                               ELSE 1 + n * 7919::bigint %% %(customers)s END AS customer,
                       now() - interval '2 minutes'
                           - interval '1 day' * %(days)s * (%(count)s - n) / %(count)s AS at
                  FROM generate_series(1, %(count)s) AS n) AS numbers;
    INSERT INTO generations (id, customer_id, tier, provider, model, kind, input, status, credits_charged,
                             credits_refunded, callback_token_hash, unit, quantity, cost_micros, cost_source,
                             error_class, latency_ms, actor, charged_at, submitted_at, ended_at)
        SELECT id, customer_id, tier, provider, model, 'image', '{"prompt": "a lighthouse at dawn"}', status, 2,
               CASE status WHEN 'failed' THEN 2 ELSE 0 END, uuid_send(id), 'image', 1, 27000, 'price_book',
               CASE status WHEN 'failed' THEN error END,
               CASE status WHEN 'succeeded' THEN latency END, 'benchmark', at, at, at + interval '30 seconds'
          FROM made;
    INSERT INTO refunds (id, generation_id, customer_id, transaction_id, provider, model, credits, origin, reason,
                         actor, loss_micros, issued_at)
        SELECT uuidv7(), id, customer_id, uuidv7(), provider, model, 2, 'automatic', error, 'system', 27000,
               at + interval '30 seconds' FROM made WHERE status = 'failed';
    INSERT INTO balances (customer_id, balance, last_charged_day)
        SELECT customers.id, 1000000 - coalesce(sum(2) FILTER (WHERE status = 'succeeded'), 0),
               max((at AT TIME ZONE 'UTC')::date)
          FROM customers LEFT JOIN made ON customer_id = customers.id GROUP BY 1;
    INSERT INTO events (at, type, customer_id, tier, customers, holders, credits)
        SELECT now() - interval '1 day' * %(days)s, 'customer', id, tier, 1, 1, 1000000 FROM customers;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, generations,
                        active_day, active_month, credits_charged, cost_micros, credits)
        SELECT at, 'charge', customer_id, id, tier, provider, model, 'image', 1,
               (row_number() OVER (PARTITION BY customer_id, (at AT TIME ZONE 'UTC')::date ORDER BY n) = 1)::int,
               (row_number() OVER (PARTITION BY customer_id, date_trunc('month', at AT TIME ZONE 'UTC')
                                   ORDER BY n) = 1)::int, 2, 27000, -2
          FROM made ORDER BY n;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason, succeeded,
                        failed, latency_ms)
        SELECT at + interval '30 seconds', status, customer_id, id, tier, provider, model, 'image',
               CASE status WHEN 'failed' THEN error ELSE '' END, (status = 'succeeded')::int,
               (status = 'failed')::int, CASE status WHEN 'failed' THEN 0 ELSE latency END
          FROM made ORDER BY n;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason, origin, refunds,
                        credits_refunded, loss_micros, credits)
        SELECT at + interval '30 seconds', 'refund', customer_id, id, tier, provider, model, 'image', error,
               'automatic', 1, 2, 27000, 2 FROM made WHERE status = 'failed' ORDER BY n;
    DROP TABLE made;
    SET session_replication_role = origin;
"""
NEW_EVENTS = """
    INSERT INTO events (at, type, customer_id, tier, provider, model, kind, generations, credits_charged,
                        cost_micros)
    SELECT now(), 'charge', 'customer-1', 'plus', 'provider-' || n %% 8, 'model-' || n %% 24, 'image', 1, 2, 27000
      FROM generate_series(1, %s) AS n
"""
# The same figures from the rows themselves.
RAW = (
    """
    SELECT (charged_at AT TIME ZONE 'UTC')::date AS day, provider, tier, count(*), sum(credits_charged),
           sum(cost_micros), count(*) FILTER (WHERE cost_micros IS NULL), max(charged_at)
      FROM generations WHERE charged_at >= %(start)s GROUP BY 1, 2, 3
    """,
    """
    SELECT (ended_at AT TIME ZONE 'UTC')::date AS day, provider, tier,
           count(*) FILTER (WHERE status = 'succeeded'),
           count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled'), sum(latency_ms)
      FROM generations WHERE ended_at >= %(start)s GROUP BY 1, 2, 3
    """,
    """
    SELECT (issued_at AT TIME ZONE 'UTC')::date AS day, generations.provider, tier, count(*), sum(credits),
           sum(loss_micros)
      FROM refunds JOIN generations ON generations.id = generation_id WHERE issued_at >= %(start)s GROUP BY 1, 2, 3
    """,
    "SELECT count(DISTINCT customer_id) FROM generations WHERE charged_at >= %(today)s",
    "SELECT count(*) FROM generations WHERE charged_at >= %(yesterday)s",
    "SELECT count(*), count(*) FILTER (WHERE ended_at >= %(hour_ago)s) FROM generations"
    " WHERE status = 'failed' AND ended_at >= %(yesterday)s",
    """
    SELECT tier, count(*), count(*) FILTER (WHERE balance > 0), sum(balance)
      FROM customers JOIN balances ON customer_id = id GROUP BY 1
    """,
)
INDEXES = """
    CREATE INDEX benchmark_charged ON generations (charged_at);
    CREATE INDEX benchmark_ended ON generations (ended_at);
"""


@dataclass(frozen=True)
class Result:
    """Milliseconds per poll: from rollups with nothing left to fold and with a tail; from the raw rows as they
    are and with an index on each time."""

    folded: float
    tail: float
    raw: float
    raw_indexed: float


def measure(server: database.Server, size: int, *, rounds: int) -> Result:
    """Medians of polls on an account of that many generations."""
    name = f"polls_{size}"
    url = database.make(server, name)
    fill(url, size)
    fold(url)
    with database.connect(url) as connection:
        connection.execute("VACUUM ANALYZE")
        folded = median(_poll_time(url, connection) for _ in range(rounds))
        _check(url, connection)
        fill_tail(url)
        tail = median(_poll_time(url, connection) for _ in range(rounds))
        raw = median(_raw_time(connection) for _ in range(max(3, rounds // 5)))
        connection.execute(INDEXES)
        connection.execute("ANALYZE generations")
        raw_indexed = median(_raw_time(connection) for _ in range(max(3, rounds // 5)))
    server.drop_database(name)
    return Result(folded, tail, raw, raw_indexed)


def fill(url: str, size: int, *, days: int = DAYS, customers: int | None = None, house: int = 0) -> None:
    """That many generations over so many days, of which so many in a hundred are `customer-1`'s alone."""
    values = {"count": size, "customers": customers or max(500, size // 20), "days": days, "house": house}
    with database.connect(url) as connection, ClientCursor(connection) as cursor:
        cursor.execute(FILL, values)
        connection.execute("VACUUM ANALYZE")


def fill_tail(url: str) -> None:
    """A thousand events that no fold has taken yet."""
    with database.connect(url) as connection:
        connection.execute(NEW_EVENTS, [TAIL])


def fold(url: str) -> None:
    """As the worker does every few seconds; the first time everything."""
    engine = create_engine(url)
    with Session(engine) as session:
        rollups.rebuild(session, TERMS.timezone)
        session.commit()
    engine.dispose()


def statements(url: str) -> list[tuple[str, Any]]:
    """What one poll executes, with its parameters."""
    engine = create_engine(url)
    seen: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    with Session(engine) as session:
        stats.begin_snapshot(session)
        stats.overview(session, TERMS)
        session.rollback()
    engine.dispose()
    return [(statement, parameters) for statement, parameters in seen if "SELECT" in statement]


def _poll_time(url: str, connection: Connection[Any]) -> float:
    return sum(_explain(connection, statement, parameters) for statement, parameters in statements(url))


def _raw_time(connection: Connection[Any]) -> float:
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    values = {
        "start": today - timedelta(days=30),
        "today": today,
        "yesterday": now - timedelta(days=1),
        "hour_ago": now - timedelta(hours=1),
    }
    return sum(_explain(connection, statement, values) for statement in RAW)


def _explain(connection: Connection[Any], statement: str, parameters: Any) -> float:
    explained = connection.execute(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters
    ).fetchone()
    assert explained is not None
    return float(explained[0][0]["Planning Time"]) + float(explained[0][0]["Execution Time"])


def _check(url: str, connection: Connection[Any]) -> None:
    """What is compared is the same: today's generations, and the credits in circulation."""
    engine = create_engine(url)
    with Session(engine) as session:
        stats.begin_snapshot(session)
        view = stats.overview(session, TERMS)
        start = view.as_of.replace(hour=0, minute=0, second=0, microsecond=0)
        counted = session.execute(
            text("SELECT count(*) FROM generations WHERE charged_at >= :start"),
            {"start": start - timedelta(days=29)},
        ).scalar_one()
        held = session.execute(text("SELECT sum(balance)::bigint FROM balances")).scalar_one()
        assert (view.last30.generations, view.credits_in_circulation) == (counted, held)
        session.rollback()
    engine.dispose()
