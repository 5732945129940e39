"""Everything around the processes that are killed: database, providers, platform; and a run as a whole."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
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
from tests.loopback import free_port
from tests.making import TERMS

CUSTOMERS = 20
SPEED = 40.0
CHECK_AFTER, DEADLINE = 1, 8
LATE = SPEED * (DEADLINE + 2)
"""A late callback comes when its generation has been refunded already."""
HANG_SECONDS = 1.5
LIVES, SHORT_LIVES = (2.0, 5.0), (1.0, 2.0)
"""How many seconds web process and worker live at most once they are up."""
TROUBLE = 0.1
TICK_SECONDS = 0.02
SETTLING_SECONDS = 240.0

UNSETTLED = """
    SELECT count(*) FROM generations
     WHERE status IN ('charged', 'submitted', 'unknown') OR check_at IS NOT NULL
"""
# What a killed worker had claimed comes up again after its lease of ninety seconds: they pass here.
END_LEASES = "UPDATE generations SET check_at = now() WHERE check_at > now() + interval '20 seconds'"


def run(
    database: str, environ: Mapping[str, str], logs: Path, *, kills: int, seconds: float, seed: int, patient: bool
) -> Verdict:
    """Kill so many times with traffic (or for so many seconds), let everything settle, and judge.

    Without `patient`, lives are short and leases of killed workers do not have to pass.
    """
    chance = random.Random(seed)
    with ExitStack() as stack:
        options = {"seed": seed, "speed": SPEED, "late_seconds": LATE, "hang_seconds": HANG_SECONDS}
        ports = dict.fromkeys(DIALECTS, 0)
        simulators = stack.enter_context(several(ports, {}, trouble=TROUBLE, **options))
        engine = create_engine(database)
        stack.callback(engine.dispose)
        address = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
        watching = stack.enter_context(psycopg.connect(address, autocommit=True))
        port = free_port()
        given = _environ(environ, database, port, [line for one in simulators for line in lines(one)])
        traffic = _traffic(engine, f"http://127.0.0.1:{port}", [one.name for one in simulators], seed)
        web_life, worker_life = LIVES if patient else SHORT_LIVES
        killed = [
            victims.web(given, port, logs, chance, web_life),
            victims.worker(given, watching, logs, chance, worker_life),
        ]
        for victim in killed:
            stack.callback(victim.child.kill)
            victim.start()
        traffic.start()
        end = time.monotonic() + seconds
        try:
            while sum(victim.kills for victim in killed) < kills and time.monotonic() < end:
                for victim in killed:
                    victim.live()
                time.sleep(TICK_SECONDS)
        finally:
            traffic.stop()
        left = _settle(engine, patient)
        with Session(engine) as session:
            verdict = judge(session, simulators, {victim.child.name: victim.kills for victim in killed})
        if left:
            verdict.problems.append(f"{left} generations had not settled after {SETTLING_SECONDS:.0f} seconds")
        return verdict


def _environ(environ: Mapping[str, str], database: str, port: int, provided: list[str]) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **environ,
        "DATABASE_URL": database,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "CHECK_AFTER_SECONDS": str(CHECK_AFTER),
        "DEADLINE_SECONDS": str(DEADLINE),
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


def _settle(engine: Engine, patient: bool) -> int:
    """Wait until nothing is under way. Returns how many generations still are when time is up."""
    give_up = time.monotonic() + SETTLING_SECONDS
    while True:
        with engine.begin() as connection:
            left = int(connection.execute(text(UNSETTLED)).scalar_one())
            if left == 0 or time.monotonic() > give_up:
                return left
            if not patient:
                connection.execute(text(END_LEASES))
        time.sleep(0.2)
