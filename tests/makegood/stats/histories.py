"""Random histories: what customers, providers and operators do, through several connections whose transactions
overlap and commit in any order, with folds in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from makegood import customers, generations, grants, ledger, refunds, reversals, rollups
from makegood.errors import Conflict, MakegoodError
from makegood.ids import uuid7
from makegood.models import Generation, Refund
from makegood.providers.protocol import ErrorClass, Outcome, Report
from makegood.terms import Terms
from tests.makegood.stats.recount import assert_equal_to_rows
from tests.makegood.stats.recount_monitoring import assert_monitoring_equals_rows
from tests.makegood.stats.recount_period import assert_period_equals_rows
from tests.making import FakeProvider, reserve

CHANGES = {
    "UTC": ("2026-02-27", "2026-12-30"),
    "Europe/Berlin": ("2026-03-28", "2026-10-24"),
    "America/New_York": ("2026-03-07", "2026-10-31"),
    "America/Santiago": ("2026-04-04", "2026-09-05"),
    "Asia/Kathmandu": ("2026-03-30", "2026-06-29"),
    "Pacific/Chatham": ("2026-04-04", "2026-09-26"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
}
"""Zones, and days just before their clocks change or, where they never do, before a month ends."""

WRITERS = 3
TIERS = ("free", "plus", "pro")
PROVIDERS = ("wavespeed", "wavespeed", "nanobanana", "external")
"""The last has no price: the cost of what it makes is not known."""

WAITS = tuple(
    timedelta(minutes=minutes) for minutes in (0.001, 1, 14, 15, 61, 6 * 60, 23 * 60, 25 * 60, 9 * 24 * 60)
)


def histories(size: int = 45) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Lists of steps: a name and what it needs."""
    writer, pick, small = st.integers(0, WRITERS - 1), st.integers(0, 30), st.integers(1, 9)
    acts = [
        st.tuples(st.just("charge"), writer, pick, st.sampled_from(PROVIDERS), small),
        st.tuples(st.just("settle"), writer, pick, st.booleans(), st.none() | st.integers(0, 99_999)),
        st.tuples(st.just("cancel"), writer, pick),
        st.tuples(st.just("refund"), writer, pick, small),
        st.tuples(st.just("reverse"), writer, pick),
        st.tuples(st.just("cost"), writer, pick, st.integers(0, 99_999)),
        st.tuples(st.just("move"), writer, pick, st.sampled_from(TIERS)),
        st.tuples(st.just("grant"), writer, pick, small, st.none() | st.sampled_from(WAITS[1:])),
        st.tuples(st.just("expire"), writer, pick),
    ]
    others = [
        st.tuples(st.just("commit"), writer),
        st.tuples(st.just("commit"), writer),
        st.tuples(st.just("undo"), writer),
        st.tuples(st.just("wait"), st.sampled_from(WAITS)),
        st.tuples(st.just("wait"), st.sampled_from(WAITS)),
        st.just(("fold",)),
        st.just(("fold",)),
        st.just(("rebuild",)),
        st.just(("compare",)),
    ]
    return st.lists(st.one_of(*acts, *others), min_size=5, max_size=size)


STARTS = st.one_of(
    st.tuples(st.just(zone), st.sampled_from(days), st.integers(0, 95)) for zone, days in CHANGES.items()
)
"""A zone, a day and a quarter of an hour."""


def terms_of(zone: str) -> Terms:
    """Limits low enough that histories meet them."""
    return Terms(timezone=ZoneInfo(zone), failures_per_hour=1)


@dataclass
class Stage:
    """Connections and a clock, on which histories are played. `compared` chooses which range is counted again."""

    engine: Engine
    terms: Terms
    now: datetime
    compared: int = 0
    writers: list[Session] = field(default_factory=list)

    def play(self, history: list[tuple[Any, ...]]) -> None:
        """One step after the other; each comes a little after the one before."""
        for name, *arguments in history:
            self.now += timedelta(milliseconds=1)
            getattr(self, name)(*arguments)

    def finish(self) -> None:
        """All commit."""
        for session in self.writers:
            session.commit()

    def commit(self, writer: int) -> None:
        """The writer's transaction counts now."""
        self.writers[writer].commit()

    def undo(self, writer: int) -> None:
        """The writer's transaction never happened."""
        self.writers[writer].rollback()

    def wait(self, duration: timedelta) -> None:
        """Time passes."""
        self.now += duration

    def fold(self) -> None:
        """As the worker does."""
        with Session(self.engine) as session:
            rollups.fold(session, self.terms.timezone)
            session.commit()

    def rebuild(self) -> None:
        """As the command does; a writer may be in the way."""
        with Session(self.engine) as session, suppress(Conflict):
            rollups.rebuild(session, self.terms.timezone)
            session.commit()

    def valid(self) -> bool:
        """Whether the rollups count."""
        with Session(self.engine) as session:
            return rollups.state(session, self.terms.timezone).valid

    def compare(self) -> None:
        """Every figure equals the rows."""
        with Session(self.engine) as session:
            assert_equal_to_rows(session, self.terms, self.now)
            assert_monitoring_equals_rows(session, self.terms, self.now, self.compared)
            assert_period_equals_rows(session, self.terms, self.now, self.compared)
        self.compared += 1

    def charge(self, writer: int, pick: int, provider: str, credits: int) -> None:
        """A customer uses credits."""
        with self._act(writer) as session:
            fake = FakeProvider(provider)
            reserve(
                session, _customer(writer, pick), provider=fake, credits=credits, terms=self.terms, at=self.now
            )

    def settle(self, writer: int, pick: int, success: bool, cost: int | None) -> None:
        """A provider reports, perhaps late, perhaps with its own cost."""
        with self._act(writer) as session:
            outcome = Outcome.SUCCEEDED if success else Outcome.FAILED
            error = None if success else ErrorClass.GENERATION_FAILED
            report = Report(outcome, error_class=error, cost_micros=cost)
            generations.settle(session, self._generation(writer, pick).id, report, self.terms, at=self.now)

    def cancel(self, writer: int, pick: int) -> None:
        """The platform gives up."""
        with self._act(writer) as session:
            generation = self._generation(writer, pick).id
            generations.cancel(session, generation, self.terms, actor="test", at=self.now)

    def refund(self, writer: int, pick: int, credits: int) -> None:
        """An operator refunds a part."""
        with self._act(writer) as session:
            generation = self._generation(writer, pick)
            refunds.issue_manual(
                session,
                generation.id,
                self.terms,
                credits=min(credits, generation.credits_charged - generation.credits_refunded),
                reason="goodwill",
                note="a test",
                actor="test",
                idempotency_key=uuid7().hex,
                expected_refunded=generation.credits_refunded,
                at=self.now,
            )

    def reverse(self, writer: int, pick: int) -> None:
        """An operator takes a refund back."""
        with self._act(writer) as session:
            own = session.scalars(
                select(Refund.id)
                .where(Refund.customer_id.startswith(f"w{writer}-"), Refund.origin == "manual")
                .order_by(Refund.id.desc())
            ).all()
            if own:
                reversals.reverse(
                    session,
                    own[pick % len(own)],
                    self.terms,
                    note="a test",
                    actor="test",
                    idempotency_key=uuid7().hex,
                    at=self.now,
                )

    def cost(self, writer: int, pick: int, micros: int) -> None:
        """The provider's own figure replaces the cost."""
        with self._act(writer) as session:
            generations.costs.set_cost(session, self._generation(writer, pick).id, micros, source="provider")

    def move(self, writer: int, pick: int, tier: str) -> None:
        """A customer comes to a tier."""
        with self._act(writer) as session:
            zone = self.terms.timezone
            customers.upsert(session, _customer(writer, pick), email=None, tier=tier, timezone=zone, at=self.now)

    def grant(self, writer: int, pick: int, credits: int, lives: timedelta | None) -> None:
        """A customer gets credits, perhaps for a while."""
        with self._act(writer) as session:
            expires = self.now + lives if lives else None
            customer = _customer(writer, pick)
            grants.add(
                session,
                customer,
                credits,
                source="bonus",
                reason="a test",
                actor="test",
                expires_at=expires,
                at=self.now,
            )

    def expire(self, writer: int, pick: int) -> None:
        """What has expired is taken out."""
        with self._act(writer) as session:
            ledger.lock(session, _customer(writer, pick), self.now)

    @contextmanager
    def _act(self, writer: int) -> Iterator[Session]:
        """In the writer's open transaction; what a rule refuses is undone alone."""
        session = self.writers[writer]
        with suppress(MakegoodError, _Nobody), session.begin_nested():
            yield session

    def _generation(self, writer: int, pick: int) -> Generation:
        own = list(
            self.writers[writer].scalars(
                select(Generation)
                .where(Generation.customer_id.startswith(f"w{writer}-"))
                .order_by(Generation.charged_at, Generation.id)
                .execution_options(populate_existing=True)
            )
        )
        if not own:
            raise _Nobody
        return own[-1 - pick % len(own)]


class _Nobody(Exception):
    """There is no generation to do it to."""


def _customer(writer: int, pick: int) -> str:
    """Writers have customers of their own: they never wait for each other's locks."""
    return f"w{writer}-{pick % 3}"


@contextmanager
def stage(url: str, zone: str, day: str, quarter: int = 0) -> Iterator[Stage]:
    """A stage with three writers of three customers each, its rollups made for the zone."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=15 * quarter)
    with ExitStack() as stack:
        engine = create_engine(url)
        stack.callback(engine.dispose)
        writers = [stack.enter_context(Session(engine)) for _ in range(WRITERS)]
        made = Stage(engine, terms_of(zone), start, quarter, writers)
        for writer in range(WRITERS):
            for pick in range(3):
                made.move(writer, pick, TIERS[pick])
            made.commit(writer)
        made.fold()
        yield made
