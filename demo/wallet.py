"""A customer's credits as the plan of the demo's history knows them, spent in the ledger's order."""

from __future__ import annotations

from datetime import UTC, datetime

FOR_EVER = datetime.max.replace(tzinfo=UTC)


class Wallet:
    """At least as poor as the real balance: credits that refunds return are not counted."""

    def __init__(self) -> None:
        self._grants: list[tuple[bool, datetime, int]] = []
        self._owed = 0

    def add(self, credits: int, source: str, expires_at: datetime | None) -> None:
        """Put credits in. Purchased ones pay first what is owed."""
        if source == "purchase":
            paid = min(self._owed, credits)
            self._owed -= paid
            credits -= paid
        self._grants.append((source == "purchase", expires_at or FOR_EVER, credits))
        self._grants.sort()

    def claw(self, credits: int) -> None:
        """Take purchased credits back; those that are spent already are owed."""
        left = []
        for purchased, expires_at, held in self._grants:
            taken = min(held, credits) if purchased else 0
            credits -= taken
            left.append((purchased, expires_at, held - taken))
        self._owed += credits
        self._grants = [grant for grant in left if grant[2]]

    def balance(self, at: datetime) -> int:
        """What can be spent at an instant."""
        return sum(credits for _, expires_at, credits in self._grants if expires_at > at)

    def purchased(self) -> int:
        """What is left of all that was bought and never expires."""
        return sum(credits for purchased, _, credits in self._grants if purchased)

    def take(self, credits: int, at: datetime) -> None:
        """Spend credits: soonest to expire first, purchased last."""
        left = []
        for purchased, expires_at, held in self._grants:
            if expires_at > at:
                spent = min(held, credits)
                credits -= spent
                left.append((purchased, expires_at, held - spent))
        self._grants = [grant for grant in left if grant[2]]
