"""One run of the demo: the database, the account, the processes; until Ctrl-C or SIGTERM."""

from __future__ import annotations

import fcntl
import http.client
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.processes import Child, Family, ProcessError, last_line

START_SECONDS = 60.0
WEB_PROCESSES = 2
HOST = "127.0.0.1"


class DemoError(Exception):
    """The demo cannot run; the message is one sentence."""


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the place of this checkout's one demo. Raises DemoError when it is taken."""
    with (directory / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError("The demo of this checkout is running already; stop it with Ctrl-C first.") from None
        yield


def check_port(port: int) -> None:
    """Raise DemoError unless a server can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"Port {port} cannot be used ({error.strerror}); choose another: make demo PORT={port % 65535 + 1}"
            ) from None


def free_ports(preferred: Mapping[str, int]) -> dict[str, int]:
    """These ports where nobody listens on them, else any others."""
    with ExitStack() as held:  # all at once, so that no two get the same
        return {name: _bind(held.enter_context(socket.socket()), port) for name, port in preferred.items()}


def _bind(probe: socket.socket, preferred: int) -> int:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for port in (preferred, 0):
        try:
            probe.bind((HOST, port))
        except OSError:
            continue
        return int(probe.getsockname()[1])
    raise DemoError("This machine has no free port for a simulated provider.")


def children(
    environ: Mapping[str, str],
    logs: Path,
    *,
    port: int,
    providers: Mapping[str, int],
    stripe: Sequence[str],
    traffic: bool,
) -> list[Child]:
    """The processes of the demo in the order in which they start. `stripe` are the simulated Stripe's options."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GRANIAN_", "FLASK_"))}
    variables = {**clean, **environ, "PYTHONUNBUFFERED": "1"}
    web = ["granian", "app:create_app", "--factory", "--interface", "wsgi", "--host", HOST, "--port", str(port)]
    web += ["--workers", str(WEB_PROCESSES), "--blocking-threads", "8", "--respawn-failed-workers"]
    commands = {
        "simulated providers": ["simulator", *[f"{name}:{at}" for name, at in providers.items()]],
        "simulated Stripe": ["simulator.stripe", *stripe],
        "worker": ["flask", "--app", "app", "worker"],
        "web server": web,
    }
    if traffic:
        commands["traffic"] = ["demo.traffic"]
    return [
        Child(name, command, variables, logs / f"{name.replace(' ', '-')}.log")
        for name, command in commands.items()
    ]


def wait_until_it_answers(port: int, family: Family) -> None:
    """Return when the web server answers. Raises ProcessError when it does not, or another process dies."""
    end = time.monotonic() + START_SECONDS
    while not _answers(port):
        for child in family.children:
            if how := child.died():
                raise ProcessError(f"The {child.name} did not start ({how}): {last_line(child.log)}")
        if time.monotonic() > end:
            web = next(child for child in family.children if child.name == "web server")
            raise ProcessError(f"The web server does not answer: {last_line(web.log)}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def watch(family: Family, mend_database: Callable[[], object]) -> None:
    """Keep everything running. Ends by KeyboardInterrupt, or ProcessError when something dies again and again."""
    while True:
        mend_database()
        family.check()
        time.sleep(0.5)
