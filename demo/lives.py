"""The 90 days of one of the demo's customers, as a list of steps in the order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from demo import catalogue, fates, staff
from demo.buying import Buyer
from demo.catalogue import Offer
from demo.chance import Chance
from demo.people import Person
from demo.rhythm import Rhythm
from demo.shop import PLANS, Shop
from demo.steps import Charge, Give, Look, Move, Refund, Step
from demo.wallet import Wallet
from makegood.calendars import local_day, month_of, next_month, start_of

SESSIONS_A_DAY = {"free": 0.16, "plus": 0.42, "pro": 0.74}
MORE_IN_A_SESSION = {"free": 0.45, "plus": 0.66, "pro": 0.73}
BUYS = {"free": 0.06, "plus": 0.42, "pro": 0.74}
PACKS = {"free": ((70, 20), (30, 50)), "plus": ((60, 50), (40, 100)), "pro": ((55, 200), (45, 500))}
UPGRADES = {"free": "plus", "plus": "pro"}
PLATFORM = "API key platform backend (mg_p7Vd0QxK)"


@dataclass(frozen=True)
class Rules:
    """What the database says: credits per model, refund shares, allowances."""

    credits: dict[tuple[str, str], int]
    shares: dict[str, tuple[int, int]]
    allowances: dict[str, int]


@dataclass
class Life:
    """A customer's life in the account of a number. `live` tells it once, from beginning to end."""

    person: Person
    chance: Chance
    rhythm: Rhythm
    rules: Rules
    shop: Shop
    number: int
    buyer: Buyer = field(init=False)
    joined_at: datetime = field(init=False)
    tier: str = field(init=False)
    free_from: datetime = field(init=False)
    steps: list[Step] = field(default_factory=list)
    wallet: Wallet = field(default_factory=Wallet)

    def live(self) -> Life:
        """Live it, so that `steps` holds everything that happened, in the order of time."""
        self.tier = self.person.tier
        chance = Chance(f"{self.number} buyer {self.person.id}")
        self.buyer = Buyer(self.person, chance, self.rhythm, self.shop, self.wallet, self.steps)
        joined_at = self.rhythm.at(self.person.joined) + self.chance.seconds(1, 40_000 if self._was_there else 60)
        self.joined_at = min(joined_at, self.rhythm.now - timedelta(seconds=10))
        self.free_from = self.joined_at + timedelta(minutes=2)
        self._join()
        ends_at = self.rhythm.at(1.0)
        if self.chance.happens(0.12):
            ends_at = self.joined_at + (ends_at - self.joined_at) * self.chance.uniform(0.25, 0.8)
        upgrades_at = self.rhythm.at(self.chance.random()) if self.chance.happens(0.05) else None
        month = month_of(local_day(self.joined_at, self.rhythm.terms.timezone))
        for day in self.rhythm.days(self.joined_at):
            if upgrades_at and day > local_day(upgrades_at, self.rhythm.terms.timezone):
                self._upgrade(upgrades_at)
                upgrades_at = None
            self._free_after(self.buyer.go_on(day, ends_at))
            if month_of(day) > month:
                month = month_of(day)
                self._allowance(month, start_of(month, self.rhythm.terms.timezone) + self.chance.seconds(20, 280))
            self._day(day, ends_at)
        self.buyer.stay()
        returned = sum(step.values["credits"] for step in self.steps if isinstance(step, Refund))
        self.buyer.owe(max([self.free_from, *(step.at for step in self.steps)]), returned)
        self.steps.append(Look(self.rhythm.now))
        self.steps.sort(key=lambda step: step.at)
        return self

    @property
    def generations(self) -> int:
        """How many generations they made."""
        return sum(isinstance(step, Charge) for step in self.steps)

    @property
    def _was_there(self) -> bool:
        return self.person.joined == 0

    def _join(self) -> None:
        self._allowance(month_of(local_day(self.joined_at, self.rhythm.terms.timezone)), self.joined_at)
        if self.tier in PLANS and self._was_there:
            self.buyer.have_begun(self.tier, self.rhythm.start)
        elif self.tier in PLANS:
            self._free_after(self.buyer.begin(self.tier, self.joined_at + timedelta(seconds=3), newcomer=True))
        if self._was_there and self.tier != "free":
            credits = 5 * self.chance.randint(2, {"plus": 12, "pro": 50}[self.tier])
            at = self.joined_at + timedelta(seconds=1)
            self._give(at, "adjustment", credits, "Opening balance carried over", actor="data import")
        elif self.chance.happens(0.3):
            expires_at = self.joined_at + timedelta(days=30)
            self._give(self.joined_at + timedelta(seconds=2), "bonus", 5, "Welcome bonus", expires_at=expires_at)
            if expires_at < self.rhythm.now - timedelta(minutes=10):
                self.steps.append(Look(expires_at + self.chance.seconds(5, 280)))

    def _allowance(self, month: date, at: datetime) -> None:
        credits = self.rules.allowances[self.tier]
        if credits:
            expires_at = start_of(next_month(month), self.rhythm.terms.timezone)
            reason = f"monthly allowance {month:%Y-%m}"
            self._give(at, "allowance", credits, reason, actor="system", expires_at=expires_at, month=month)
            self.free_from = max(self.free_from, at + timedelta(seconds=20))

    def _free_after(self, at: datetime | None) -> None:
        """Nothing begins before credits that came at that instant."""
        if at is not None:
            self.free_from = max(self.free_from, at)

    def _upgrade(self, at: datetime) -> None:
        if self.tier in UPGRADES and at > self.joined_at + timedelta(minutes=1):
            self.tier = UPGRADES[self.tier]
            self.steps.append(Move(at, self.tier))
            self._free_after(self.buyer.begin(self.tier, at + timedelta(seconds=3), newcomer=False))

    def _day(self, day: date, ends_at: datetime) -> None:
        rate = SESSIONS_A_DAY[self.tier] * self.person.appetite * self.rhythm.busy(day)
        moments = sorted(self.rhythm.moment(self.chance, day) for _ in range(self.chance.poisson(rate)))
        for moment in moments:
            if self.free_from < moment < ends_at:
                self.free_from = self._session(moment)

    def _session(self, at: datetime) -> datetime:
        """Some generations in a row. Returns when the last one began."""
        while True:
            offer = self._offer(at)
            credits = offer.credits or self.rules.credits[offer.provider, offer.model]
            if self.wallet.balance(at) < credits:
                if not self.chance.happens(BUYS[self.tier]):
                    return at
                at = self._buy(at)
                if self.wallet.balance(at) < credits:  # a clip costs more than the smallest pack
                    return at
            self._generate(at, offer, credits)
            at += self.chance.seconds(25, 260)
            if not self.chance.happens(MORE_IN_A_SESSION[self.tier]):
                return at

    def _offer(self, at: datetime) -> Offer:
        simulated = self.rhythm.simulated(at) and self.chance.happens(0.06)
        return self.chance.weighted(catalogue.SIMULATED if simulated else catalogue.OFFERS)

    def _buy(self, at: datetime) -> datetime:
        credits = self.chance.weighted(PACKS[self.tier])
        self.buyer.pack(at + self.chance.seconds(30, 120), credits)
        return at + self.chance.seconds(140, 215)

    def _give(
        self,
        at: datetime,
        source: str,
        credits: int,
        reason: str,
        *,
        actor: str = PLATFORM,
        expires_at: datetime | None = None,
        month: date | None = None,
    ) -> None:
        if at >= self.rhythm.now:
            return
        values = {
            "grant": self.chance.uuid7(at),
            "transaction": self.chance.uuid7(at),
            "customer": self.person.id,
            "source": source,
            "credits": credits,
            "expires_at": expires_at,
            "month": month,
            "actor": actor,
            "reason": reason,
            "at": at,
        }
        self.steps.append(Give(at, values))
        self.wallet.add(credits, source, expires_at)

    def _generate(self, at: datetime, offer: Offer, credits: int) -> None:
        inputs = offer.input(self.chance)
        incident = self.rhythm.incident(offer.provider, at)
        fate = fates.decide(self.chance, offer, inputs, at, self.rhythm.terms.deadline, incident=incident)
        if fate.last_at >= self.rhythm.now:
            return  # what is under way when the history ends did not happen
        charge = Charge(
            at,
            self.chance.uuid7(at),
            offer,
            inputs,
            catalogue.metadata(self.chance) if self.chance.happens(0.4) else None,
            self.chance.uuid7(at),
            f"gen-{self.chance.hex(20)}",
            self.chance.randbytes(32),
            fate,
        )
        self.steps.append(charge)
        self.wallet.take(credits, at)
        if fate.error_class is not None:
            self._refund_by_policy(charge, credits, fate.error_class)
        elif self.chance.happens(0.25 if fate.status == "cancelled" else 0.05 if incident else 0.0045):
            self._refund_by_hand(charge, credits, incident)

    def _refund_by_policy(self, charge: Charge, credits: int, error_class: str) -> None:
        percent, version = self.rules.shares[error_class]
        due, at = (credits * percent + 50) // 100, charge.fate.ended_at
        if due:
            ids, live = self._ids(at), self.rhythm.terms.returned_credits_live
            refund = charge.refund(ids, at, due, "automatic", error_class, "system", live, version=version)
            self.steps.append(refund)

    def _refund_by_hand(self, charge: Charge, credits: int, incident: bool) -> None:
        at = self.rhythm.in_office(charge.fate.last_at + self.chance.seconds(900, 150_000))
        reason, note = staff.complaint(self.chance, cancelled=charge.fate.status == "cancelled", incident=incident)
        due = credits // 2 if credits > 1 and self.chance.happens(0.2) else credits
        operator, key = self.chance.choice(staff.OPERATORS), str(self.chance.uuid7(at))
        if at < self.rhythm.now:
            ids, live = self._ids(at), self.rhythm.terms.returned_credits_live
            refund = charge.refund(ids, at, due, "manual", reason, operator, live, note=note, key=key)
            self.steps.append(refund)

    def _ids(self, at: datetime) -> tuple[UUID, UUID]:
        return self.chance.uuid7(at), self.chance.uuid7(at)
