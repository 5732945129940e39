"""The kinds of subscriptions in the generated account, with what each is worth a month, worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

MONTH = {"interval": "month"}
YEAR = {"interval": "year"}
QUARTER = {"interval": "month", "interval_count": 3}
WEEK = {"interval": "week"}


def _tier(up_to: int | None, unit: str, flat: int | None = None) -> dict[str, Any]:
    return {
        "flat_amount": flat,
        "flat_amount_decimal": None if flat is None else str(flat),
        "unit_amount": int(unit),
        "unit_amount_decimal": unit,
        "up_to": up_to,
    }


PRICES: Mapping[str, tuple[int | str | None, str, dict[str, Any]]] = {
    "basic": (1900, "usd", {"recurring": MONTH}),
    "yearly": (19000, "usd", {"recurring": YEAR}),
    "seat": (1200, "usd", {"recurring": MONTH}),
    "extra": (500, "usd", {"recurring": MONTH}),
    "storage": (12000, "usd", {"recurring": YEAR}),
    "quarterly": (4500, "usd", {"recurring": QUARTER}),
    "weekly": (700, "usd", {"recurring": WEEK}),
    "fine": ("0.5", "usd", {"recurring": MONTH}),
    "packages": (
        700,
        "usd",
        {"recurring": MONTH, "transform_quantity": {"divide_by": 10, "round": "up"}},
    ),
    "graduated": (
        None,
        "usd",
        {
            "recurring": MONTH,
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [_tier(10, "100", 200), _tier(None, "50")],
        },
    ),
    "volume": (
        None,
        "usd",
        {
            "recurring": MONTH,
            "billing_scheme": "tiered",
            "tiers_mode": "volume",
            "tiers": [_tier(10, "100"), _tier(None, "60", 100)],
        },
    ),
    "metered": (7, "usd", {"recurring": {**MONTH, "usage_type": "metered", "meter": "mtr_images"}}),
    "free": (0, "usd", {"recurring": MONTH}),
    "euro": (1500, "eur", {"recurring": MONTH}),
    "yen": (2000, "jpy", {"recurring": MONTH}),
    "dinar": (6500, "kwd", {"recurring": MONTH}),
}
"""Unit amount in the minor unit, currency, and what else the price says."""
CREDITS = {"basic": 200, "yearly": 2400, "seat": 100, "quarterly": 500, "euro": 150, "yen": 120, "dinar": 180}
"""The credits that one of a product brings with each bill; the others bring none."""


@dataclass(frozen=True)
class Kind:
    """Some subscriptions that are alike: `full` is what one is worth a month, `reduced` less its coupon.

    `state`: active, past_due, paused, ends (scheduled), ended, unpaid, trialing, incomplete, deleted (with its
    customer). `months` is how long ago one began, from and to.
    """

    count: int
    lines: tuple[tuple[str, int], ...]
    full: str
    reduced: str | None = None
    state: str = "active"
    coupon: tuple[tuple[str, Any], ...] = ()
    item_coupon: tuple[tuple[str, Any], ...] = ()
    late_coupon: bool = False
    trial_days: int = 0
    inclusive_tax: int = 0
    tax: int = 0
    months: tuple[int, int] = (1, 7)

    @property
    def duration(self) -> str | None:
        """How long its coupon lasts, where one still runs."""
        return str(dict(self.coupon).get("duration")) if self.reduced is not None else None

    def worth(self, reduced: bool) -> Fraction:
        """A month's worth, exactly."""
        return Fraction(self.reduced if reduced and self.reduced is not None else self.full)


def _percent(percent: int, duration: str = "forever", **more: Any) -> tuple[tuple[str, Any], ...]:
    return (("duration", duration), ("percent_off", percent), *more.items())


def _amount(amount: int, duration: str = "forever", **more: Any) -> tuple[tuple[str, Any], ...]:
    return (("duration", duration), ("amount_off", amount), ("currency", "usd"), *more.items())


ONE = (("basic", 1),)
KINDS = (
    Kind(110, ONE, "1900"),
    Kind(24, ONE, "1900", tax=19),
    Kind(30, (("yearly", 1),), "4750/3", months=(1, 15)),
    Kind(20, (("seat", 3),), "3600"),
    Kind(12, (("basic", 1), ("extra", 2)), "2900"),
    Kind(10, (("basic", 1), ("storage", 1)), "2900", months=(1, 15)),
    Kind(10, (("quarterly", 1),), "1500"),
    Kind(4, (("weekly", 1),), "18250/6", months=(1, 3)),
    Kind(8, (("fine", 333),), "333/2"),
    Kind(8, (("packages", 25),), "2100"),
    Kind(8, (("graduated", 12),), "1300"),
    Kind(8, (("volume", 25),), "1600"),
    Kind(8, (("basic", 1), ("metered", 0)), "1900"),
    Kind(6, (("free", 1),), "0"),
    Kind(20, (("euro", 1),), "1500"),
    Kind(14, (("yen", 1),), "2000"),
    Kind(6, (("dinar", 1),), "6500"),
    Kind(12, ONE, "1900", "1425", coupon=_percent(25)),
    Kind(6, ONE, "1900", "1400", coupon=_amount(500)),
    Kind(6, ONE, "1900", "1520", coupon=_percent(20, "repeating", duration_in_months=24)),
    Kind(6, ONE, "1900", coupon=_percent(20, "repeating", duration_in_months=1), months=(3, 7)),
    Kind(6, ONE, "1900", coupon=_percent(50, "once")),
    Kind(4, ONE, "1900", "950", coupon=_percent(50, "once"), late_coupon=True),
    Kind(4, (("extra", 1),), "500", "0", coupon=_amount(900)),
    Kind(4, (("seat", 3),), "3600", "2592", coupon=_percent(20), item_coupon=_percent(10)),
    Kind(4, ONE, "1900", "0", coupon=_percent(100)),
    Kind(4, (("seat", 1),), "1000", inclusive_tax=20),
    Kind(10, ONE, "1900", state="past_due"),
    Kind(6, ONE, "1900", state="paused"),
    Kind(10, ONE, "1900", state="ends"),
    Kind(24, ONE, "1900", state="ended", months=(2, 7)),
    Kind(4, ONE, "1900", state="unpaid"),
    Kind(8, ONE, "1900", state="trialing", trial_days=14),
    Kind(6, ONE, "1900", trial_days=14, months=(2, 7)),
    Kind(2, ONE, "1900", state="incomplete"),
    Kind(8, ONE, "1900", state="deleted", months=(2, 7)),
)
