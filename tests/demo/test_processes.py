"""The demo's processes: watched, started again, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import processes
from demo.processes import Child, Family, ProcessError

SLEEP = "import time; time.sleep(600)"
WITH_GRANDCHILD = """
import signal, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(grandchild.pid, flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Child]]:
    """Make children that run a program; the program stands in for `python -m` and a module."""
    real = subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess,
        "Popen",
        lambda arguments, **options: real([sys.executable, "-c", arguments[2]], **options),
    )
    made: list[Child] = []

    def make(program: str) -> Child:
        made.append(Child("example", [program], dict(os.environ), tmp_path / f"{len(made)}.log"))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_dies_is_started_again_and_said(child: Callable[[str], Child]) -> None:
    said: list[str] = []
    family = Family([child(SLEEP)], said.append)
    family.start()
    one = family.children[0]
    assert one.process is not None
    first = one.process.pid
    family.check()
    assert said == []
    os.kill(first, signal.SIGKILL)
    until(one.died)
    family.check()
    assert one.died() is None
    assert one.process.pid != first
    assert said == [f"The example has ended (signal 9; see {one.log}); starting it again."]
    family.stop()


def test_what_dies_again_and_again_ends_the_demo_with_its_last_words(child: Callable[[str], Child]) -> None:
    family = Family([child("raise SystemExit('no more paper')")], lambda text: None)
    family.start()

    def check_for_long() -> None:
        for _ in range(10):
            until(family.children[0].died)
            family.check()

    with pytest.raises(ProcessError, match=r"ends again and again \(exit code 1\): no more paper \(.*0\.log\)"):
        check_for_long()


def test_the_end_takes_grandchildren_and_the_stubborn_along(
    child: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    family = Family([child(WITH_GRANDCHILD)], lambda text: None)
    family.start()
    log = family.children[0].log
    until(lambda: log.read_text().endswith("\n"))
    grandchild = int(log.read_text())
    assert alive(grandchild)
    family.stop()
    until(lambda: not alive(grandchild))


def test_the_last_started_is_ended_first(child: Callable[[str], Child], tmp_path: Path) -> None:
    program = (
        "import signal, sys, time; from pathlib import Path\n"
        f"def end(*_): Path({str(tmp_path)!r}, 'order').open('a').write(NAME); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(600)"
    )
    family = Family([child(f"NAME = '{name}'\n{program}") for name in "abc"], lambda text: None)
    family.start()
    until(lambda: all("ready" in one.log.read_text() for one in family.children))
    family.stop()
    assert (tmp_path / "order").read_text() == "cba"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_children_do_not_outlive_a_demo_that_is_killed(tmp_path: Path, root: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from demo import processes
log = Path({str(tmp_path)!r}, "log")
child = processes.Child("x", ["http.server", "--bind", "127.0.0.1", "0"], dict(os.environ), log)
child.start()
print(child.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        pid = int(demo.stdout.readline())
        assert alive(pid)
        demo.kill()
    until(lambda: not alive(pid))
