"""The four rules of MRR that are a choice. Every figure that rests on them names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

COUPONS = ("none", "forever", "recurring", "all")
CANCELLATION = ("now", "end")
INCLUDED = ("in", "out")
DURATIONS = {
    "none": (),
    "forever": ("forever",),
    "recurring": ("forever", "repeating"),
    "all": ("forever", "repeating", "once"),
}
"""The durations of coupons that reduce MRR, for each choice."""

_COUPONS = {
    "none": "Coupons never reduce it",
    "forever": "Coupons reduce it where they last forever",
    "recurring": "Coupons reduce it where they last forever or for several months",
    "all": "Every coupon reduces it",
}
_CANCELLATION = {
    "now": "a scheduled cancellation leaves it when it is scheduled",
    "end": "a scheduled cancellation leaves it when it takes effect",
}


@dataclass(frozen=True)
class MrrRules:
    """Stripe's rules unless set otherwise: only coupons of duration forever reduce MRR, a subscription that will
    be cancelled leaves it at once, one whose payment is overdue stays, and so does one whose collection is paused.
    Source: support.stripe.com/questions/billing-analytics and the glossary of Stripe's billing analytics; for
    paused collection Stripe publishes no rule, and such a subscription is active."""

    coupons: str = "forever"
    cancellation: str = "now"
    past_due: str = "in"
    paused: str = "in"

    def as_dict(self) -> dict[str, str]:
        """As it is kept with a snapshot."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Mapping[str, str]) -> MrrRules:
        """The rules that a snapshot was taken under."""
        return cls(**kept)

    @property
    def durations(self) -> tuple[str, ...]:
        """The durations of coupons that reduce MRR."""
        return DURATIONS[self.coupons]

    def words(self) -> str:
        """As a sentence."""
        return (
            f"{_COUPONS[self.coupons]}; {_CANCELLATION[self.cancellation]}; payments past due are "
            f"{_included(self.past_due)}; paused collection is {_included(self.paused)}."
        )


def _included(choice: str) -> str:
    return "included" if choice == "in" else "left out"
