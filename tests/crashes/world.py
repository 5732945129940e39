"""Everything around the processes that are killed: database, providers, platform; and a run as a whole."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from makegood import api_keys, customers, grants
from simulator.dialects import DIALECTS
from simulator.several import lines, several
from tests.crashes import victims
from tests.crashes.traffic import Traffic
from tests.crashes.verdict import Verdict, judge
from tests.crashes.victims import Victim
from tests.loopback import free_port
from tests.making import TERMS

CUSTOMERS = 20
SPEED = 40.0
CHECK_AFTER = 1
HANG_SECONDS = 1.5
LEAST_KILLS = 3
"""So often each dies however slow the machine is."""
TROUBLE = 0.1
TICK_SECONDS = 0.02
SETTLING_SECONDS = 240.0

UNSETTLED = """
    SELECT count(*) FROM generations
     WHERE status IN ('charged', 'submitted', 'unknown') OR check_at IS NOT NULL
"""
# What a killed worker had claimed comes up again after its lease of ninety seconds: they pass here.
END_LEASES = "UPDATE generations SET check_at = now() WHERE check_at > now() + interval '20 seconds'"


@dataclass(frozen=True)
class Pace:
    """How often to kill, for how many seconds at most, how many seconds web process and worker live at most once
    they are up, when a generation is given up, and whether the leases of killed workers have to pass."""

    kills: int
    seconds: float
    web_life: float
    worker_life: float
    deadline: int
    leases: bool


def short(kills: int, seconds: float) -> Pace:
    """For every run of the tests."""
    return Pace(kills, seconds, web_life=1.0, worker_life=2.0, deadline=8, leases=False)


def long(kills: int) -> Pace:
    """For `make crash`."""
    return Pace(kills, 8 * 3600.0, web_life=2.0, worker_life=5.0, deadline=20, leases=True)


def run(
    database: str,
    environ: Mapping[str, str],
    logs: Path,
    pace: Pace,
    seed: int,
    say: Callable[[str], object] = lambda line: None,
) -> Verdict:
    """Kill with traffic, let everything settle, and judge. Ctrl-C ends the killing. `say` hears how far it is."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        options = {"seed": seed, "speed": SPEED, "hang_seconds": HANG_SECONDS}
        # A late callback comes when its generation has been refunded already.
        options["late_seconds"] = SPEED * (pace.deadline + 2)
        ports = dict.fromkeys(DIALECTS, 0)
        simulators = stack.enter_context(several(ports, {}, trouble=TROUBLE, **options))
        engine = create_engine(database)
        stack.callback(engine.dispose)
        address = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
        watching = stack.enter_context(psycopg.connect(address, autocommit=True))
        port = free_port()
        given = _environ(environ, database, port, pace, [line for one in simulators for line in lines(one)])
        traffic = _traffic(engine, f"http://127.0.0.1:{port}", [one.name for one in simulators], seed)
        killed = [
            victims.web(given, port, logs, chance, pace.web_life),
            victims.worker(given, watching, logs, chance, pace.worker_life),
        ]
        for victim in killed:
            stack.callback(victim.child.kill)
            victim.start()
        traffic.start()
        try:
            with suppress(KeyboardInterrupt):
                _kill(killed, pace, say)
        finally:
            traffic.stop()
        say("waiting until everything has settled")
        left = _settle(engine, killed, pace)
        with Session(engine) as session:
            verdict = judge(session, simulators, {victim.child.name: victim.kills for victim in killed})
        if left:
            verdict.problems.append(f"{left} generations had not settled after {SETTLING_SECONDS:.0f} seconds")
        return verdict


def _kill(killed: list[Victim], pace: Pace, say: Callable[[str], object]) -> None:
    end, said = time.monotonic() + pace.seconds, 0
    while not _is_enough(kills := [victim.kills for victim in killed], pace.kills, time.monotonic() > end):
        if sum(kills) // 25 > said:
            said = sum(kills) // 25
            say(f"{sum(kills)} kills")
        for victim in killed:
            victim.live()
        time.sleep(TICK_SECONDS)


def _is_enough(kills: list[int], wanted: int, late: bool) -> bool:
    return min(kills) >= LEAST_KILLS and (late or sum(kills) >= wanted)


def _environ(
    environ: Mapping[str, str], database: str, port: int, pace: Pace, provided: list[str]
) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **environ,
        "DATABASE_URL": database,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CHECK_AFTER_SECONDS": str(CHECK_AFTER),
        "DEADLINE_SECONDS": str(pace.deadline),
        **dict(line.split("=", 1) for line in provided),
    }


def _traffic(engine: Engine, url: str, providers: list[str], seed: int) -> Traffic:
    ids = [f"cus_{number:02}" for number in range(CUSTOMERS)]
    with Session(engine) as session:
        for customer_id in ids:
            customers.upsert(session, customer_id, email=None, tier="free", timezone=TERMS.timezone)
            grants.add(session, customer_id, 100_000, source="purchase", reason="crash test", actor="tests")
        _, key = api_keys.create(session, "crash test", ["platform"], actor="tests")
        session.commit()
    return Traffic(url, key, ids, providers, seed)


def _settle(engine: Engine, killed: list[Victim], pace: Pace) -> int:
    """Wait until nothing is under way. Returns how many generations still are when time is up."""
    give_up = time.monotonic() + SETTLING_SECONDS
    while True:
        with engine.begin() as connection:
            left = int(connection.execute(text(UNSETTLED)).scalar_one())
            if left == 0 or time.monotonic() > give_up:
                return left
            if not pace.leases:
                connection.execute(text(END_LEASES))
        for victim in killed:
            victim.revive()
        time.sleep(0.2)
