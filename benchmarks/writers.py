"""What keeping the figures costs whoever writes: cycles of charge and settle per second, in SQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks import database
from makegood import rollups, stats
from makegood.generations.ending import END
from makegood.terms import Terms

TERMS = Terms()
CLIENTS = 8
FOLD_SECONDS, POLL_SECONDS = 5.0, 0.5
RESERVE = """
\\set customer random(1, %s)
SELECT id, outcome FROM (SELECT uuidv7() AS id) AS made, LATERAL reserve_generation(
    id::text, sha256('request'), id, uuidv7(), 'customer-' || :customer, 'wavespeed', 'bytedance/seedream-v4',
    'image', '{"prompt": "a lighthouse at dawn"}', NULL, NULL, sha256(uuid_send(id)), 'image', 1, '', 'platform',
    NULL, 'UTC', '2 minutes') \\gset
"""
VALUES = {
    ":status": "'succeeded'::text",
    ":at": "clock_timestamp()",
    ":error_class": "NULL::text",
    ":message": "NULL::text",
    ":outputs": """'["https://results.example/1.png"]'::jsonb""",
    ":job": "NULL::text",
    ":id": ":id::uuid",
    ":expire_at": "NULL::timestamptz",
}


@dataclass(frozen=True)
class Result:
    """Cycles per second: without events, with them, and with a fold every five seconds and two polls a second.
    `poll` is the median milliseconds of such a poll, from its first statement to its last."""

    bare: float
    events: float
    folded: float
    poll: float


def measure(server: database.Server, *, rounds: int, seconds: float, customers: int) -> Result:
    """Medians of rounds in turn."""
    urls = {name: database.make(server, f"writers_{name}") for name in ("bare", "events")}
    for url in urls.values():
        database.add_customers(url, customers)
    _drop_events(urls["bare"])
    found: dict[str, list[float]] = {"bare": [], "events": [], "folded": []}
    polls: list[float] = []
    for number in range(-1, rounds):
        taken = {
            "bare": _cycles(urls["bare"], customers, seconds, events=False),
            "events": _cycles(urls["events"], customers, seconds),
        }
        with _figures(urls["events"], polls):
            taken["folded"] = _cycles(urls["events"], customers, seconds)
        if number >= 0:  # the one before warms everything up
            for name, speed in taken.items():
                found[name].append(speed)
    for name, url in urls.items():
        _check(url)
        server.drop_database(f"writers_{name}")
    speeds = {name: median(results) for name, results in found.items()}
    return Result(speeds["bare"], speeds["events"], speeds["folded"], median(polls))


def _cycles(url: str, customers: int, seconds: float, *, events: bool = True) -> float:
    settle = _without_events(END.text) if not events else END.text
    for name, value in VALUES.items():
        settle = settle.replace(name, value)
    script = f"{RESERVE % customers}{settle.strip()};\n"
    return database.pgbench(url, script, clients=CLIENTS, seconds=seconds)


def _check(url: str) -> None:
    """Generations were charged for and settled: a refusal would be fast, and no error."""
    with database.connect(url) as connection:
        ended = connection.execute(
            "SELECT count(*) > 0, bool_and(status = 'succeeded') FROM generations"
        ).fetchone()
    assert ended == (True, True), "not every cycle was one"


def _without_events(statement: str) -> str:
    """The settlement without its event."""
    start, end = statement.index(", event AS ("), statement.index("SELECT id FROM ended")
    return statement[:start] + statement[end:]


def _drop_events(url: str) -> None:
    """The charge without its event."""
    with database.connect(url) as connection:
        query = "SELECT pg_get_functiondef('reserve_generation'::regproc)"
        definition = str(connection.execute(query).fetchone()[0])  # type: ignore[index]
        start = definition.index("INSERT INTO events")
        connection.execute(definition[:start] + definition[definition.index(";", start) + 1 :])


@contextmanager
def _figures(url: str, polls: list[float]) -> Iterator[None]:
    """The worker's fold and two open dashboards meanwhile."""
    end = threading.Event()
    engine = create_engine(url)

    def fold() -> None:
        while not end.wait(FOLD_SECONDS if folded.is_set() else 0):
            with Session(engine) as session:
                rollups.fold(session, TERMS.timezone)
                session.commit()
            folded.set()

    def poll() -> None:
        due = True
        while due:
            with Session(engine) as session:
                stats.begin_snapshot(session)
                begun = time.perf_counter()
                stats.overview(session, TERMS)
                polls.append((time.perf_counter() - begun) * 1000)
                session.rollback()
            due = not end.wait(POLL_SECONDS)

    folded = threading.Event()
    threads = [threading.Thread(target=job) for job in (fold, poll)]
    for thread in threads:
        thread.start()
    folded.wait()
    yield
    end.set()
    for thread in threads:
        thread.join()
    engine.dispose()
