"""The processes that are killed: the web server, whole or only its child, and the worker."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from demo.processes import Child

START_SECONDS = 60.0


@dataclass
class Victim:
    """A process that is killed with SIGKILL some time after it has come up, and started again."""

    child: Child
    is_up: Callable[[], bool]
    longest_life: float
    chance: random.Random
    kills: int = 0
    started_at: float = 0.0
    dies_at: float | None = None

    def start(self) -> None:
        """Start it; from the main thread, whose end is its end."""
        self.child.start()
        self.started_at, self.dies_at = time.monotonic(), None

    def live(self) -> None:
        """Look whether it is up, or its time has come."""
        now = time.monotonic()
        if self.revive():
            return
        if self.dies_at is None:
            if self.is_up():
                self.dies_at = now + self.chance.uniform(0, self.longest_life)
            elif now - self.started_at > START_SECONDS:
                raise AssertionError(f"the {self.child.name} did not start: {self.child.log.read_text()[-2000:]}")
        elif now >= self.dies_at:
            self.kill()

    def revive(self) -> bool:
        """Start it again if it ended by itself, as Granian does when its child dies too often."""
        if not self.child.died():
            return False
        self.child.kill()
        self.start()
        return True

    def kill(self) -> None:
        """Kill it and start it again."""
        self.kills += 1
        pids = children_of(self.child.process.pid) if self.child.process else []
        if pids and self.chance.random() < 0.5:
            # Granian starts a new one in its place.
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.started_at, self.dies_at = time.monotonic(), None
            return
        self.child.kill()
        self.start()


def children_of(pid: int) -> list[int]:
    """The children of a process that are at work."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def web(environ: Mapping[str, str], port: int, logs: Path, chance: random.Random, life: float) -> Victim:
    """The console, the API and the callbacks."""
    command = ["granian", "app:create_app", "--factory", "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--blocking-threads", "8", "--respawn-failed-workers"]
    command += ["--respawn-interval", "0"]

    def is_up() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2.0, trust_env=False).is_success
        return False

    return Victim(Child("web server", command, environ, logs / "web.log"), is_up, life, chance)


def worker(
    environ: Mapping[str, str], database: psycopg.Connection, logs: Path, chance: random.Random, life: float
) -> Victim:
    """The background work."""
    name = "crash-test-worker"
    environ = {**environ, "PGAPPNAME": name}
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        " AND backend_start > clock_timestamp() - make_interval(secs => %s)"
    )
    child = Child("worker", ["flask", "--app", "app", "worker"], environ, logs / "worker.log")

    def is_up() -> bool:
        row = database.execute(query, [name, time.monotonic() - victim.started_at]).fetchone()
        return row is not None and row[0] > 0

    victim = Victim(child, is_up, life, chance)
    return victim
