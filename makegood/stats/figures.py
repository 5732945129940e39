"""What the figures are: usage over a range, and what the panels show of it. Definitions: the README's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

FEW = 20
"""A rate of fewer says little: one more or less moves it by more than five points."""


@dataclass(frozen=True)
class Rate:
    """`part` of `whole`, from 0 to 1. Figures for people show it from FEW on; it is true where it is shown."""

    part: int
    whole: int

    @property
    def exact(self) -> Decimal | None:
        """None of nothing."""
        return Decimal(self.part) / self.whole if self.whole else None

    @property
    def shown(self) -> Decimal | None:
        """None of fewer than FEW."""
        return self.exact if self.whole >= FEW else None

    def __bool__(self) -> bool:
        return self.shown is not None


class Usage(NamedTuple):  # and no dataclass, which takes ten times as long to make: a page has a thousand
    """Sums over a range: counts, credits, USD micro-dollars, milliseconds.

    Generations, credits charged and cost count when charged; succeeded, failed and cancelled when ended; refunds
    and platform loss when issued. `unknown_costs` generations have no known cost and are not in `cost_micros`.
    """

    generations: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    refunds: int = 0
    active_day: int = 0
    active_month: int = 0
    credits_charged: int = 0
    credits_refunded: int = 0
    cost_micros: int = 0
    unknown_costs: int = 0
    loss_micros: int = 0
    latency_ms: int = 0

    @property
    def ended(self) -> int:
        """The success rate's denominator: succeeded and failed, not cancelled."""
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> Rate:
        """Succeeded of ended."""
        return Rate(self.succeeded, self.ended)

    @property
    def net_credits(self) -> int:
        """Charged minus refunded."""
        return self.credits_charged - self.credits_refunded

    @property
    def known_cost_micros(self) -> int | None:
        """The sum of the known costs; None when there were generations and the cost of every one is unknown."""
        return None if self.generations and self.unknown_costs == self.generations else self.cost_micros

    @property
    def average_cost_micros(self) -> int | None:
        """Per generation with a known cost; None when there is none."""
        known = self.generations - self.unknown_costs
        return (self.cost_micros + known // 2) // known if known > 0 else None

    @classmethod
    def total(cls, parts: Iterable[Usage]) -> Usage:
        """The sum of parts."""
        summed = [sum(column) for column in zip(*parts, strict=True)]
        return cls._make(summed) if summed else cls()


MEASURE_NAMES = Usage._fields


@dataclass(frozen=True)
class Health:
    """Whether the platform works: its status and what that rests on. The windows are rolling.

    `worker_away_since` is set when no worker has been at work for a while: then nothing that is late is refunded.
    """

    status: str
    label: str
    generations_24h: int
    failures_24h: int
    failures_last_hour: int
    in_flight: int
    oldest_in_flight: datetime | None
    worker_away_since: datetime | None


@dataclass(frozen=True)
class ProviderUsage:
    """One provider's usage in the range, and when it was last charged for."""

    provider: str
    usage: Usage
    last_charged_at: datetime | None


@dataclass(frozen=True)
class TierCredits:
    """A tier now: its customers, the credits they hold, and what they used this month."""

    tier: str
    customers: int
    holders: int
    credits: int
    consumed: Usage


@dataclass(frozen=True)
class DayUsage:
    """The usage of one calendar day of the reporting time zone."""

    day: date
    usage: Usage
