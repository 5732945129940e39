"""Rollups: events folded into 15-minute UTC buckets, days and months of the reporting time zone, and tiers.

Every event carries its transaction id. A fold takes all rows of transactions that had certainly ended (below
the snapshot's horizon) and were not folded before (from the watermark on), and moves the watermark up to the
horizon, in one transaction. A reader adds the rows from the watermark on to the buckets, in one snapshot: exact
at every instant, whatever the order of commits, and writers touch no shared row. A transaction that stays open
holds the horizon back: figures stay exact, the tail grows.

Locks are taken in this order: the state, balances, events. Writers take the last two, in either order.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from makegood.errors import Conflict
from makegood.models.rollups import MEASURES
from makegood.rollup_tables import FOLDS

LOCK_NOT_AVAILABLE = "55P03"
_FOLDS = "".join(f"{table} AS ({fold}), " for table, fold in FOLDS.items())

FOLD = text(
    f"""
    WITH due AS MATERIALIZED (
        SELECT at, provider, model, kind, tier, reason, origin, customer_id, customers, holders, credits,
               {", ".join(MEASURES)}
          FROM events WHERE xid >= CAST(:start AS xid8) AND xid < CAST(:horizon AS xid8)
    ), {_FOLDS}totals AS (
        INSERT INTO rollup_tiers AS total (tier, customers, holders, credits)
        SELECT tier, sum(customers), sum(holders), sum(credits) FROM due GROUP BY tier
        ON CONFLICT (tier) DO UPDATE SET customers = total.customers + excluded.customers,
            holders = total.holders + excluded.holders, credits = total.credits + excluded.credits
    )
    SELECT count(*) FROM due
    """  # noqa: S608 (made of our own column names)
)
AT_ONCE = 1000
# Whoever is changing a payer right now is passed over until the next fold.
FLAG = text(
    """
    WITH due AS MATERIALIZED (
        SELECT customer_id, purchased OR payments > 0 AS payer FROM payers
         WHERE flagged <> (purchased OR payments > 0)
         ORDER BY customer_id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), quarters AS (
        UPDATE rollup_customer_quarters AS used SET payer = due.payer FROM due
         WHERE used.customer_id = due.customer_id
    ), months AS (
        UPDATE rollup_customer_months AS used SET payer = due.payer FROM due
         WHERE used.customer_id = due.customer_id
    )
    UPDATE payers SET flagged = due.payer FROM due WHERE payers.customer_id = due.customer_id
    """
)
STATE = text(
    """
    SELECT watermark::text, timezone = :zone AND system_identifier =
           (SELECT system_identifier FROM pg_control_system()) AS valid
      FROM rollup_state
    """
)
MOVE = text(
    """
    UPDATE rollup_state SET watermark = CAST(:horizon AS xid8), timezone = :zone, folded_at = clock_timestamp(),
           system_identifier = (SELECT system_identifier FROM pg_control_system())
    """
)
HORIZON = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
LOCK_STATE = text("SELECT FROM rollup_state FOR UPDATE")
# First vacuum, which gives way only after a second, then the writers. One that has its event may be waiting for a
# balance: waiting for it without an end would be a deadlock. The two waits together are shorter than PostgreSQL's
# deadlock_timeout, so that it is never the writer who is given up.
KEEP_OTHERS_OUT = (
    text("SET LOCAL lock_timeout = '5s'"),
    text("LOCK TABLE balances, events IN SHARE UPDATE EXCLUSIVE MODE"),
    text("SET LOCAL lock_timeout = '300ms'"),
    text("LOCK TABLE balances IN EXCLUSIVE MODE"),
    text("LOCK TABLE events IN EXCLUSIVE MODE"),
    text("SET LOCAL lock_timeout = DEFAULT"),
)
CLEAR = tuple(text(f"DELETE FROM {table}") for table in (*FOLDS, "rollup_tiers"))  # noqa: S608
# With writers kept out every event there is has been committed. Ids from another server, or above a horizon that
# some other transaction holds back, would count a second time in the tail.
REMARK_FOLDED = text("UPDATE events SET xid = '3' WHERE xid >= CAST(:horizon AS xid8)")
REMARK_ACTIVE = text(
    """
    WITH marked AS (
        SELECT id,
               (row_number() OVER (PARTITION BY customer_id, local_day ORDER BY at, id) = 1)::int AS day,
               (row_number() OVER (PARTITION BY customer_id, date_trunc('month', local_day)
                                   ORDER BY at, id) = 1)::int AS month
          FROM (SELECT id, customer_id, at, CAST(at AT TIME ZONE :zone AS date) AS local_day
                  FROM events WHERE type = 'charge') AS charges
    )
    UPDATE events SET active_day = marked.day, active_month = marked.month FROM marked
     WHERE events.id = marked.id AND (active_day, active_month) IS DISTINCT FROM (marked.day, marked.month)
    """
)
REMARK_BALANCES = text(
    """
    UPDATE balances SET last_charged_day = last.day
      FROM (SELECT customer_id, max(CAST(at AT TIME ZONE :zone AS date)) AS day
              FROM events WHERE type = 'charge' GROUP BY customer_id) AS last
     WHERE balances.customer_id = last.customer_id AND last_charged_day IS DISTINCT FROM last.day
    """
)


@dataclass(frozen=True)
class State:
    """From which transaction on events are not folded. Invalid after a restore into another server or a change
    of the reporting time zone: then only the events count, until the rollups are rebuilt."""

    watermark: str
    valid: bool


def state(session: Session, timezone: ZoneInfo) -> State:
    """What a reader must know."""
    row = session.execute(STATE, {"zone": timezone.key}).one()
    return State(row.watermark if row.valid else "0", row.valid)


def fold(session: Session, timezone: ZoneInfo) -> int:
    """Fold what is due, and flag at most AT_ONCE customers who began to pay or do no more; one fold at a time.
    Returns how many events. Rebuilds if the rollups are invalid."""
    session.execute(LOCK_STATE)
    current = state(session, timezone)
    if not current.valid:
        return rebuild(session, timezone)
    horizon = session.scalar(HORIZON)
    values = {"start": current.watermark, "horizon": horizon, "zone": timezone.key}
    folded = session.scalar(FOLD, values) or 0
    session.execute(FLAG, {"limit": AT_ONCE})
    session.execute(MOVE, values)
    return folded


def rebuild(session: Session, timezone: ZoneInfo) -> int:
    """Make all rollups anew from the events. Returns how many events.

    Writers wait meanwhile, some seconds for each hundred thousand generations. Raises Conflict when one of them
    was in the way: roll back and try again.
    """
    session.execute(LOCK_STATE)
    _keep_others_out(session)
    horizon = session.scalar(HORIZON)
    values = {"start": "0", "horizon": horizon, "zone": timezone.key}
    for statement in (*CLEAR, REMARK_FOLDED, REMARK_ACTIVE, REMARK_BALANCES):
        session.execute(statement, values)
    folded = session.scalar(FOLD, values) or 0
    session.execute(MOVE, values)
    return folded


def _keep_others_out(session: Session) -> None:
    try:
        for statement in KEEP_OTHERS_OUT:
            session.execute(statement)
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
            raise
        raise Conflict("Credits are moving right now. Try again.") from error
