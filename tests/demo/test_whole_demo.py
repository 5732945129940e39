"""The demo as a whole, with all of its processes, in a checkout of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks")
SETTINGS = ("ENVIRONMENT", "DATABASE_URL", "SECRET_KEY", "PORT", "PUBLIC_URL")
GENERATION = {
    "customer_id": "cus_demo",
    "provider": "simulated",
    "model": "google/nano-banana/text-to-image",
    "kind": "image",
    "input": {"prompt": "a lighthouse at dawn", "simulate": "succeed"},
}


@pytest.fixture(scope="module")
def checkout(root: Path) -> Iterator[Path]:
    """A copy of what the demo needs, with few customers; whatever still runs there at the end is killed."""
    parent = Path(tempfile.mkdtemp(prefix="makegood-test-"))
    parent.chmod(0o711)
    copy = parent / "checkout"
    shutil.copytree(root, copy, ignore=IGNORED)
    people = (copy / "demo" / "people.py").read_text()
    assert "CUSTOMERS = 300\n" in people
    (copy / "demo" / "people.py").write_text(people.replace("CUSTOMERS = 300\n", "CUSTOMERS = 10\n"))
    yield copy
    for pid in processes(copy):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(parent)


def processes(checkout: Path) -> list[int]:
    """Every live process that works in this checkout, the database's too."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(checkout):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


class Demo:
    """A running demo."""

    def __init__(self, checkout: Path, *arguments: str) -> None:
        self.checkout = checkout
        self.file = checkout / "credentials.json"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.file.unlink(missing_ok=True)
        environ = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        command = [
            sys.executable,
            "-m",
            "flask",
            "--app",
            "app",
            "demo",
            "--credentials",
            str(self.file),
            *arguments,
        ]
        self.process = subprocess.Popen(
            command, cwd=checkout, env=environ | {"PORT": str(port)}, stdout=subprocess.PIPE, text=True
        )
        until(lambda: self.file.exists() or self.process.poll() is not None, seconds=120)
        assert self.process.poll() is None, "the demo ended"
        self.way_in = json.loads(self.file.read_text())
        self.client = httpx.Client(
            base_url=self.way_in["url"],
            headers={"Authorization": f"Bearer {self.way_in['api_key']}"},
            trust_env=False,
            timeout=10,
        )

    def balance(self) -> int:
        return int(self.client.get("/api/v1/customers/cus_demo").raise_for_status().json()["balance"])

    def works(self) -> bool:
        """Whether a generation succeeds now, through all processes."""
        try:
            return self.generate(seconds=15) == "succeeded"
        except (httpx.HTTPError, AssertionError):
            return False

    def generate(self, seconds: float = 60) -> str:
        """Have a generation made. Returns its status at the end."""
        answer = self.client.post(
            "/api/v1/generations", json=GENERATION, headers={"Idempotency-Key": uuid.uuid4().hex}
        )
        path = f"/api/v1/generations/{answer.raise_for_status().json()['id']}"
        until(lambda: self.client.get(path).json()["status"] not in ("charged", "submitted"), seconds)
        return str(self.client.get(path).json()["status"])

    def kill(self, words: str) -> None:
        """Kill the first process of this checkout whose command line holds these words."""
        pid = min(pid for pid in processes(self.checkout) if words in command_of(pid))
        os.kill(pid, signal.SIGKILL)

    def end(self, number: signal.Signals) -> str:
        """Send a signal, and return all that was printed."""
        self.client.close()
        self.process.send_signal(number)
        printed, _ = self.process.communicate(timeout=60)
        return printed


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_demo_from_its_first_start_to_its_second_end(checkout: Path) -> None:
    demo = Demo(checkout, "--no-traffic")
    assert demo.generate() == "succeeded"
    left = demo.balance()
    assert stat.S_IMODE(demo.file.stat().st_mode) == 0o600
    assert demo.way_in.keys() == {"url", "operator", "password", "api_key", "stats_key"}
    figures = demo.client.get(
        "/api/admin/credit-stats", headers={"Authorization": f"Bearer {demo.way_in['stats_key']}"}
    )
    assert figures.status_code == 200
    printed = demo.end(signal.SIGINT)
    assert demo.process.returncode == 0
    for shown in ("url", "operator", "password", "api_key"):
        assert demo.way_in[shown] in printed
    assert demo.way_in["stats_key"] not in printed
    assert processes(checkout) == []

    again = Demo(checkout, "--no-traffic")
    assert {**again.way_in, "url": ""} == {**demo.way_in, "url": ""}
    assert again.balance() == left
    for words in ("bin/postgres", "granian", "flask --app app worker", "-m simulator"):
        again.kill(words)
        time.sleep(0.6)
    until(again.works)
    again.end(signal.SIGTERM)
    assert again.process.returncode == 0
    assert processes(checkout) == []
