"""Whether rollups say what their events say: counted again, for a window of days or for all there are.

Only events below the watermark are in the rollups; readers add the others, so they are left out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import calendars
from makegood.books.violation import Violation
from makegood.rollup_tables import PERIODS, ROLLUPS, Rollup

A_DAY = timedelta(days=1)
STEPS = {"bucket": timedelta(minutes=15), "hour": timedelta(hours=1)}
BEGINNING = datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC"))
DATES: dict[str, tuple[Callable[[date], date], Callable[[date], date]]] = {
    "day": (lambda day: day, lambda day: day + A_DAY),
    "quarter": (calendars.quarter_of, calendars.next_quarter),
    "month": (calendars.month_of, calendars.next_month),
}
"""For each period of dates, the one that a day is in, and the next one."""

STATE = text(
    """
    SELECT timezone FROM rollup_state
     WHERE system_identifier = (SELECT system_identifier FROM pg_control_system())
    """
)
TIERS = """
    SELECT 'rollup_tiers is what customers hold' AS rule, tier AS subject,
           format('rows %s, kept and not folded yet %s', r.sums, k.sums) AS found
      FROM (SELECT tier, ARRAY[count(*), count(*) FILTER (WHERE balance > 0), sum(balance)] AS sums
              FROM customers JOIN balances ON customer_id = id GROUP BY tier) AS r
      FULL JOIN (SELECT tier, ARRAY[sum(customers), sum(holders), sum(credits)] AS sums
                   FROM (SELECT tier, customers, holders, credits FROM rollup_tiers
                          UNION ALL
                         SELECT tier, customers, holders, credits FROM events
                          WHERE xid >= (SELECT watermark FROM rollup_state)) AS t GROUP BY tier) AS k USING (tier)
     WHERE coalesce(r.sums, '{0,0,0}') <> coalesce(k.sums, '{0,0,0}')
"""
PAYERS = """
    SELECT '{table} says who pays' AS rule, concat_ws(' ', {period}, customer_id) AS subject,
           format('payer %s', payer) AS found
      FROM {table} AS k
     WHERE {period} >= CAST(:{period}_first AS date) AND {period} < CAST(:{period}_end AS date)
       AND payer <> EXISTS (SELECT FROM payers WHERE customer_id = k.customer_id AND flagged)
"""


def _checks(rollup: Rollup) -> Iterator[str]:
    for period, table in rollup.tables.items():
        yield _check(rollup, table, period)
        if period in rollup.flagged:
            yield PAYERS.format(table=table, period=period)


def _check(rollup: Rollup, table: str, period: str) -> str:
    keys = ", ".join((period, *rollup.keys))
    counted = ", ".join(f"sum({name})::bigint" for name in rollup.measures)
    last, kept_last = "NULL", "NULL"
    if rollup.dated:
        last, kept_last = "max(at) FILTER (WHERE generations > 0)", "last_charged_at"
    type_ = "timestamptz" if period in STEPS else "date"
    return f"""
    SELECT '{table} is the sum of its events' AS rule, concat_ws(' ', {keys}) AS subject,
           format('events %s %s, kept %s %s', e.sums, e.last, k.sums, k.last) AS found
      FROM (SELECT {PERIODS[period]} AS {period}, {rollup.of_events(*rollup.keys)}, ARRAY[{counted}] AS sums,
                   {last} AS last
              FROM events
             WHERE {rollup.only} AND xid < (SELECT watermark FROM rollup_state)
               AND at >= CAST(:{period}_since AS timestamptz) AND at < CAST(:{period}_until AS timestamptz)
             GROUP BY {", ".join(str(number + 1) for number in range(1 + len(rollup.keys)))}) AS e
      FULL JOIN (SELECT {keys}, ARRAY[{", ".join(rollup.measures)}] AS sums, {kept_last} AS last FROM {table}
                  WHERE {period} >= CAST(:{period}_first AS {type_})
                    AND {period} < CAST(:{period}_end AS {type_})) AS k USING ({keys})
     WHERE (e.sums, e.last) IS DISTINCT FROM (k.sums, k.last)
    """  # noqa: S608 (made of our own column names)


ALL = text(
    "\nUNION ALL\n".join((*(check for rollup in ROLLUPS for check in _checks(rollup)), TIERS))
    + " LIMIT CAST(:most AS bigint)"
)


def violations(
    session: Session, days: tuple[date, date] | None = None, *, most: int | None = None
) -> list[Violation]:
    """What the rollups say otherwise than their events, in one snapshot; at most so many rows.

    `days` are the first and the last one of a window, in the time zone of the rollups; whole quarters and months
    that they touch are counted. Without them everything is, which reads all events. Nothing is wrong with rollups
    that came from another server: they count for nothing until they are rebuilt.
    """
    zone = session.scalar(STATE)
    if zone is None:
        return []
    bounds = _everything() if days is None else _window(*days, ZoneInfo(zone))
    return [Violation(*row) for row in session.execute(ALL, {**bounds, "zone": zone, "most": most})]


def _everything() -> dict[str, object]:
    limits = {"since": "-infinity", "until": "infinity", "first": "-infinity", "end": "infinity"}
    return {f"{period}_{name}": limit for period in PERIODS for name, limit in limits.items()}


def _window(first: date, last: date, zone: ZoneInfo) -> dict[str, object]:
    """For each period of the rollups the instants of the events, and the first and the end of the periods."""
    bounds: dict[str, object] = {}
    for period, step in STEPS.items():
        since, until = (_floor(calendars.start_of(day, zone), step) for day in (first, last + A_DAY))
        bounds |= _named(period, since, until, since, until)
    for period, (of, after) in DATES.items():
        begin, end = of(first), after(last)
        instants = (calendars.start_of(day, zone) for day in (begin, end))
        bounds |= _named(period, *instants, begin, end)
    return bounds


def _named(period: str, *limits: object) -> dict[str, object]:
    return dict(zip((f"{period}_{name}" for name in ("since", "until", "first", "end")), limits, strict=True))


def _floor(at: datetime, step: timedelta) -> datetime:
    return at - (at - BEGINNING) % step
