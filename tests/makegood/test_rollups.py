"""Folding and rebuilding: exact in every snapshot, whoever writes meanwhile, on whichever server."""

from __future__ import annotations

import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

import embedded
from embedded.account import server_account
from embedded.binaries import installed
from makegood import calendars, generations, grants, rollups, stats
from makegood.errors import Conflict
from makegood.rollup_tables import FOLDS
from makegood.terms import Terms
from tests.makegood.stats.histories import CHANGES, stage
from tests.makegood.stats.recount import assert_equal_to_rows
from tests.making import FAILURE, TERMS, make_customer, make_generation, reserve

UTC_ZONE = ZoneInfo("UTC")
RACE_SECONDS = 2.5
LAPS, LONGEST_RACE_SECONDS = 6, 60.0


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """A fresh database, for several connections."""
    engine = create_engine(database, pool_size=20)
    yield engine
    engine.dispose()


def fold(engine: Engine, timezone: ZoneInfo = UTC_ZONE) -> int:
    """As the worker does."""
    with Session(engine) as session:
        folded = rollups.fold(session, timezone)
        session.commit()
    return folded


def rebuild(engine: Engine, timezone: ZoneInfo = UTC_ZONE) -> int:
    """As the command does."""
    with Session(engine) as session:
        folded = rollups.rebuild(session, timezone)
        session.commit()
    return folded


def assert_exact(engine: Engine, terms: Terms = TERMS) -> None:
    """Every figure equals the rows."""
    with Session(engine) as session:
        assert_equal_to_rows(session, terms, datetime.now(UTC))


def tail(engine: Engine) -> int:
    """How many events a reader must add to the rollups."""
    with Session(engine) as session:
        above = text("SELECT count(*) FROM events WHERE xid >= (SELECT watermark FROM rollup_state)")
        return session.scalar(above) or 0


def test_a_fold_takes_each_event_once(engine: Engine) -> None:
    with Session(engine) as session:
        make_generation(session, make_customer(session), status="failed")
        session.commit()
        events = session.scalar(text("SELECT count(*) FROM events"))
    assert fold(engine) == events
    assert fold(engine) == 0
    assert tail(engine) == 0
    assert_exact(engine)


def test_what_was_written_before_a_fold_and_committed_after_it_counts_once(engine: Engine) -> None:
    with Session(engine) as early, Session(engine) as other:
        customers = [make_customer(session) for session in (early, other)]
        early.commit()
        other.commit()
        reserve(early, customers[0])
        make_generation(other, customers[1], status="failed")
        other.commit()
        fold(engine)
        assert_exact(engine)
        early.commit()
        assert_exact(engine)
        assert fold(engine) == 5
        assert_exact(engine)


def test_a_long_open_transaction_holds_the_horizon_back_while_the_figures_stay_exact(engine: Engine) -> None:
    with Session(engine) as long_open, Session(engine) as session:
        customer = make_customer(session)
        session.commit()
        fold(engine)
        long_open.execute(text("SELECT pg_current_xact_id()"))
        for _ in range(3):
            make_generation(session, customer, status="succeeded")
            session.commit()
            fold(engine)
            assert_exact(engine)
        assert tail(engine) == 6
        long_open.rollback()
    assert fold(engine) == 6
    assert_exact(engine)


def test_only_readers_hold_nothing_back(engine: Engine) -> None:
    with Session(engine) as reader, Session(engine) as session:
        stats.begin_snapshot(reader)
        before = stats.overview(reader, TERMS)
        make_customer(session)
        session.commit()
        assert fold(engine) == 3
        assert stats.overview(reader, TERMS, at=before.as_of) == before


def test_one_fold_at_a_time(engine: Engine) -> None:
    with Session(engine) as session:
        make_customer(session)
        session.commit()
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: fold(engine), range(8))) == [0] * 7 + [3]
    assert_exact(engine)


def test_a_reader_counts_nothing_twice_while_others_write_and_fold(engine: Engine) -> None:
    """Each poll of a reader is compared to the rows of its own snapshot."""
    with Session(engine) as session:
        customers = [make_customer(session, 100_000) for _ in range(4)]
        session.commit()

    def write(customer: str) -> None:
        with Session(engine) as session:
            statuses = ("failed", "succeeded", "submitted")
            make_generation(session, customer, status=statuses[time.monotonic_ns() % 3], credits=3)
            session.commit()

    polls = race(
        *[lambda customer=customer: write(customer) for customer in customers],
        lambda: fold(engine),
        lambda: assert_exact(engine),
    )
    assert min(polls) >= LAPS
    fold(engine)
    assert_exact(engine)


def test_writers_never_fail_because_of_a_rebuild(engine: Engine) -> None:
    """Charges and grants lock balance, then events; failures the other way round. A rebuild gives way to all."""
    with Session(engine) as session:
        customers = [make_customer(session, 100_000) for _ in range(3)]
        session.commit()

    def fail(customer: str) -> None:
        with Session(engine) as session:
            generation = reserve(session, customer).generation_id
            session.commit()
            generations.settle(session, generation, FAILURE, TERMS)
            session.commit()

    def give(customer: str) -> None:
        with Session(engine) as session:
            grants.add(session, customer, 1, source="bonus", reason="a test", actor="test")
            session.commit()

    zones = itertools.cycle([ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")])

    def try_rebuild() -> None:
        with suppress(Conflict):
            rebuild(engine, next(zones))  # on another day, so that every balance row changes

    race(
        *[lambda customer=customer: fail(customer) for customer in customers],
        lambda: give(customers[0]),
        try_rebuild,
    )
    rebuild(engine)
    assert_exact(engine)


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Kathmandu"])
def test_a_rebuild_gives_way_to_a_writer_and_changes_nothing_then(engine: Engine, timezone: str) -> None:
    with Session(engine) as writer:
        customer = make_customer(writer)
        writer.commit()
        fold(engine)
        reserve(writer, customer)
        with pytest.raises(Conflict, match="moving right now"):
            rebuild(engine, ZoneInfo(timezone))
        writer.commit()
    assert_exact(engine)
    rebuild(engine, ZoneInfo(timezone))
    assert tail(engine) == 0
    assert_exact(engine, Terms(timezone=ZoneInfo(timezone)))


def test_a_rebuild_counts_what_a_long_open_transaction_keeps_in_the_tail(engine: Engine) -> None:
    with Session(engine) as long_open, Session(engine) as session:
        long_open.execute(text("SELECT pg_current_xact_id()"))
        make_generation(session, make_customer(session), status="failed")
        session.commit()
        assert rebuild(engine) == 7
        assert_exact(engine)
        make_customer(session)
        session.commit()
        assert_exact(engine)
        long_open.rollback()
    assert fold(engine) == 3
    assert_exact(engine)


def test_a_change_of_the_reporting_time_zone_moves_days_and_active_customers(database: str) -> None:
    """A customer charged at 20:00 and 23:30 UTC was active on one day in UTC, and on two in Kathmandu."""
    kathmandu = Terms(timezone=ZoneInfo("Asia/Kathmandu"))
    with stage(database, "UTC", "2026-03-30") as played:
        for at in ("2026-03-31T12:00", "2026-03-31T23:30"):
            played.now = datetime.fromisoformat(at).replace(tzinfo=UTC)
            played.charge(0, 0, "wavespeed", 1)
        played.finish()
        played.fold()
        with Session(played.engine) as session:
            before = stats.overview(session, played.terms, at=played.now)
            assert (before.active_today, before.today.generations) == (1, 2)
            session.rollback()
            # Days are right at once, from the events; who was active on them after the rebuild.
            invalid = stats.overview(session, kathmandu, at=played.now)
            assert (invalid.today.generations, invalid.last30.generations) == (1, 2)
        played.terms = kathmandu
        played.fold()
        with Session(played.engine) as session:
            after = stats.overview(session, kathmandu, at=played.now)
            assert [(row.day, row.usage.active_day) for row in after.days[-2:]] == [
                (date(2026, 3, 31), 1),
                (date(2026, 4, 1), 1),
            ]
            assert after.month.active_month == 1
        played.charge(0, 0, "wavespeed", 1)
        played.charge(0, 1, "wavespeed", 1)
        played.finish()
        with Session(played.engine) as session:
            assert stats.overview(session, kathmandu, at=played.now).active_today == 2


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_database_and_python_agree_on_every_day(engine: Engine, name: str) -> None:
    zone = ZoneInfo(name)
    first = date(2026, 1, 1)
    days = [first + timedelta(days=count) for count in range(3 * 365)]
    starts = [calendars.start_of(day, zone) for day in days]
    instants = [start - moment for start in starts for moment in (timedelta(microseconds=1), timedelta(0))]
    query = text(
        "SELECT CAST(at AT TIME ZONE :zone AS date) FROM unnest(CAST(:at AS timestamptz[])) at ORDER BY at"
    )
    with Session(engine) as session:
        found = list(session.scalars(query, {"zone": name, "at": instants}))
    assert found == [either for day in days for either in (day - timedelta(days=1), day)]
    assert found == [calendars.local_day(at, zone) for at in instants]


BEFORE_REASONS = (
    "SET LOCAL session_replication_role = replica",
    "UPDATE events SET reason = '', origin = ''",
    *(f"DELETE FROM {table}" for table in FOLDS if table not in ("rollup_buckets", "rollup_days")),
)
PLAYED = [
    ("charge", 0, 0, "wavespeed", 3),
    ("charge", 0, 1, "external", 5),
    ("charge", 1, 0, "nanobanana", 4),
    ("refund", 0, 0, 2),
    ("refund", 0, 0, 1),
    ("settle", 0, 1, False, None),
    ("settle", 1, 0, True, 7_000),
    ("cost", 0, 0, 9_000),
    ("cancel", 0, 0),
    ("wait", timedelta(hours=30)),
    ("charge", 2, 0, "wavespeed", 2),
    ("settle", 2, 0, False, 4_000),
]


def test_the_migration_fills_reasons_and_rollups_as_if_they_had_always_been(database: str, root: Path) -> None:
    with stage(database, "Europe/Berlin", "2026-03-27") as played:
        played.play(PLAYED)
        played.finish()
        played.fold()
        played.charge(1, 1, "wavespeed", 2)
        played.settle(1, 0, False, None)
        played.finish()  # and a tail
        with Session(played.engine) as session:
            tables = ("events", *FOLDS)
            expected = {table: _rows(session, table) for table in tables}
            assert len(expected["rollup_reason_days"]) >= 3
            names = ("0006_rollups", "0017_hours", "0021_coarse", "0022_customer_quarters")
            scripts = [(root / f"migrations/sql/{name}.sql").read_text() for name in names]
            for statement in (*BEFORE_REASONS, *(one for script in scripts for one in _filling(script))):
                session.execute(text(statement))
            assert {table: _rows(session, table) for table in tables} == expected


def _rows(session: Session, table: str) -> list[str]:
    return sorted(session.scalars(text(f"SELECT {table}::text FROM {table}")))


def _filling(script: str) -> list[str]:
    """The statements of a migration that change rows, without the functions that follow them."""
    lines = [line for line in script.split("-- Returns credits")[0].splitlines() if not line.startswith("--")]
    statements = [statement.strip() for statement in "\n".join(lines).split(";")]
    return [statement for statement in statements if statement.startswith(("UPDATE", "INSERT", "TRUNCATE"))]


@contextmanager
def restored(database: str, directory: Path) -> Iterator[Engine]:
    """A dump of the database in another server, whose transaction ids begin anew."""
    programs = next(installed(server_account()))
    dump = directory / "books.dump"
    address = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        major = connection.info.server_version // 10_000
    # The server's own: Debian's PostgreSQL 15.20 marks every column in a way that only its own pg_dump leaves out.
    own = next(found for found in installed(server_account()) if found.major == major)
    subprocess.run([own.program("pg_dump"), "--format=custom", f"--file={dump}", address], check=True)
    with embedded.temporary(durable=False) as server:
        target = make_url(server.url()).set(drivername="postgresql").render_as_string(hide_password=False)
        restore_it = [programs.program("pg_restore"), "--exit-on-error", "--no-owner", f"--dbname={target}"]
        subprocess.run([*restore_it, dump], check=True)
        engine = create_engine(server.url())
        yield engine
        engine.dispose()


def test_a_dump_restored_into_another_server_keeps_its_figures(
    engine: Engine, database: str, tmp_path: Path
) -> None:
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        burn = "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        connection.execute(text(burn))
    with Session(engine) as session:
        customer = make_customer(session)
        make_generation(session, customer, status="failed")
        session.commit()
        fold(engine)
        make_generation(session, customer, status="succeeded")
        session.commit()
    with restored(database, tmp_path) as other, Session(other) as session:
        watermark = int(session.scalar(text("SELECT watermark::text FROM rollup_state")) or 0)
        assert not rollups.state(session, UTC_ZONE).valid
        session.rollback()
        assert_exact(other)
        make_generation(session, customer, status="failed")
        session.commit()
        newest = session.scalar(text("SELECT xid::text FROM events ORDER BY id DESC LIMIT 1"))
        assert int(newest or 0) < watermark
        session.rollback()
        assert_exact(other)
        assert fold(other) == 7 + 2 + 4
        assert rollups.state(session, UTC_ZONE).valid
        session.rollback()
        assert_exact(other)
        make_generation(session, customer, status="failed")
        session.commit()
        assert_exact(other)
        assert fold(other) == 4
        assert_exact(other)


def race(*jobs: Callable[[], object]) -> list[int]:
    """Each job over and over in a thread of its own, for a while and until each was done several times.

    Returns how often; raises what one raised.
    """
    end, give_up = threading.Event(), time.monotonic() + LONGEST_RACE_SECONDS
    done = [0] * len(jobs)

    def repeat(number: int) -> None:
        try:
            while not end.is_set():
                jobs[number]()
                done[number] += 1
        except BaseException:
            end.set()
            raise

    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(repeat, number) for number in range(len(jobs))]
        end.wait(RACE_SECONDS)
        while min(done) < LAPS and time.monotonic() < give_up and not end.wait(0.02):
            pass
        end.set()
        for job in running:
            job.result()
    return done
