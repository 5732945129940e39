"""The demo's processes: started together, watched, started again when one dies, and ended together."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 15.0
DEATHS_IN_A_MINUTE = 3
PR_SET_PDEATHSIG = 1


class ProcessError(Exception):
    """A process of the demo does not stay up; the message is one sentence."""


@dataclass
class Child:
    """One process of the demo. `arguments` follow `python -m`; what it prints goes to its log."""

    name: str
    arguments: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C in the terminal reaches only us."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 (the arguments are ours)
                [sys.executable, "-m", *self.arguments],
                cwd=ROOT,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def stop(self) -> None:
        """End it and what it started: politely, then not."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it and what it started at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def died(self) -> str | None:
        """How it ended, if it is not running."""
        code = None if self.process is None else self.process.poll()
        if code is None:
            return None
        return f"exit code {code}" if code >= 0 else f"signal {-code}"


class Family:
    """All processes of the demo."""

    def __init__(self, children: Sequence[Child], say: Callable[[str], None]) -> None:
        self.children = children
        self._say = say

    def start(self) -> None:
        """Start all, in order, each with an empty log."""
        for child in self.children:
            child.log.write_bytes(b"")
            child.start()

    def check(self) -> None:
        """Start again what has died. Raises ProcessError for a process that dies again and again."""
        for child in self.children:
            if how := child.died():
                child.kill()  # what a killed web server leaves behind would keep its port
                now = time.monotonic()
                child.deaths = [at for at in child.deaths if at > now - 60] + [now]
                if len(child.deaths) > DEATHS_IN_A_MINUTE:
                    raise ProcessError(f"The {child.name} ends again and again ({how}): {last_line(child.log)}")
                self._say(f"The {child.name} has ended ({how}; see {child.log}); starting it again.")
                child.start()

    def stop(self) -> None:
        """End all, the last started first."""
        for child in reversed(self.children):
            child.stop()

    def kill(self) -> None:
        """End all at once."""
        for child in reversed(self.children):
            child.kill()


def last_line(log: Path) -> str:
    """The last line that a process wrote, for people."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1].strip()[:300]} ({log})" if lines else f"it wrote nothing to {log}"


def _end_with_parent() -> None:
    """Have the kernel end this process when the demo is killed with no chance to (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
