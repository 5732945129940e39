"""What events are summed into: for each rollup its keys, its measures, and the events that it takes.

Folds are made of this, and so is what readers take from the events that are not folded yet: both count the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from makegood.models.rollups import CUSTOMER_MEASURES, MEASURES, REASON_MEASURES

BUCKET = "date_bin('15 minutes', at, '2000-01-01T00:00:00Z')"
DAY = "CAST(at AT TIME ZONE :zone AS date)"
MONTH = f"CAST(date_trunc('month', {DAY}) AS date)"
HOUR = "date_bin('1 hour', at, '2000-01-01T00:00:00Z')"
QUARTER = f"quarter_of_month({DAY})"
FLAGGED = "customer_id IN (SELECT customer_id FROM payers WHERE flagged)"
PERIODS = {"bucket": BUCKET, "hour": HOUR, "day": DAY, "quarter": QUARTER, "month": MONTH}


@dataclass(frozen=True)
class Rollup:
    """Sums of events by period and keys.

    `tables` are named by their period: bucket, hour, day, quarter (of a month) or month. `keys` and `only` are SQL
    over a row of `events`: each key's value, and which events count. `dated` rollups keep when they were last
    charged. `coarse` has the same measures by fewer keys: what needs no other ones reads few rows of it. In the
    tables of the periods `flagged` each row says whether its customer pays, as `payers.flagged` does.
    """

    tables: dict[str, str]
    keys: dict[str, str]
    measures: tuple[str, ...]
    only: str
    dated: bool = False
    coarse: Rollup | None = None
    flagged: tuple[str, ...] = ()

    def of_events(self, *columns: str) -> str:
        """These columns as SQL over a row of `events`, with their names."""
        return ", ".join(f"{self.keys[name]} AS {name}" if name in self.keys else name for name in columns)

    def folds(self) -> dict[str, str]:
        """For each table the statement that adds the rows of `due` to it, by period: what is read together lies
        together, after a rebuild too."""
        return {table: self._fold(table, period) for period, table in self.tables.items()}

    def _fold(self, table: str, period: str) -> str:
        keys = ", ".join((period, *self.keys))
        sums = ", ".join(f"sum({name}) AS {name}" for name in self.measures)
        add = ", ".join(f"{name} = rollup.{name} + excluded.{name}" for name in self.measures)
        latest = last = later = ""
        if self.dated:
            latest, last = ", last_charged_at", ", max(at) FILTER (WHERE generations > 0)"
            later = ", last_charged_at = greatest(rollup.last_charged_at, excluded.last_charged_at)"
        if period in self.flagged:
            latest, last = ", payer", f", bool_or({FLAGGED})"
        return f"""
        INSERT INTO {table} AS rollup ({keys}, {", ".join(self.measures)}{latest})
        SELECT {PERIODS[period]} AS period, {self.of_events(*self.keys)}, {sums}{last}
          FROM due WHERE {self.only} GROUP BY {", ".join(str(number + 1) for number in range(1 + len(self.keys)))}
         ORDER BY period
        ON CONFLICT ({keys}) DO UPDATE SET {add}{later}
        """  # noqa: S608 (made of our own column names)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


COARSE_USAGE = Rollup(
    {"bucket": "rollup_quarter_hours", "hour": "rollup_hours", "day": "rollup_provider_days"},
    _same("provider", "tier"),
    MEASURES,
    "provider <> ''",
    dated=True,
)
USAGE = Rollup(
    {"bucket": "rollup_buckets", "day": "rollup_days"},
    _same("provider", "model", "kind", "tier"),
    MEASURES,
    "provider <> ''",
    dated=True,
    coarse=COARSE_USAGE,
)
REASONS = Rollup(
    {"bucket": "rollup_reason_buckets", "day": "rollup_reason_days"},
    _same("provider", "model", "kind", "reason", "origin"),
    REASON_MEASURES,
    "reason <> ''",
)
BIN = {"bin": "latency_bin(latency_ms)"}
COARSE_LATENCIES = Rollup(
    {"bucket": "rollup_latency_quarter_hours", "hour": "rollup_latency_hours", "day": "rollup_latency_totals"},
    BIN,
    ("succeeded",),
    "succeeded <> 0",
)
LATENCIES = Rollup(
    {"bucket": "rollup_latency_buckets", "day": "rollup_latency_days"},
    _same("provider", "model", "kind") | BIN,
    ("succeeded",),
    "succeeded <> 0",
    coarse=COARSE_LATENCIES,
)
CUSTOMERS = Rollup(
    {"day": "rollup_customer_days", "quarter": "rollup_customer_quarters", "month": "rollup_customer_months"},
    _same("customer_id"),
    CUSTOMER_MEASURES,
    "provider <> ''",
    flagged=("quarter", "month"),
)
ROLLUPS = (USAGE, COARSE_USAGE, REASONS, LATENCIES, COARSE_LATENCIES, CUSTOMERS)
FOLDS = {table: fold for rollup in ROLLUPS for table, fold in rollup.folds().items()}
"""The tables that are folded by period, and how."""
