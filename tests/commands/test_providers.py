"""`flask providers`: what it lists, and the protocols that it speaks on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask

from extensions import db
from makegood import switches
from makegood.providers import registry
from makegood.providers.protocol import Job
from settings import PROVIDER_NAMES, load
from simulator.dialects import DIALECTS
from tests.conftest import environment
from tests.making import MODEL

UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nothing"


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    """Run a command of the group; its exit code and what it printed."""
    result = app.test_cli_runner().invoke(args=["providers", *arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_every_provider_is_listed_without_its_key(app: Flask) -> None:
    with app.app_context():
        for model in ("*", MODEL):
            switches.switch_off(db.session(), PROVIDER_NAMES, "wavespeed", model, reason="It fails.", actor="test")
        db.session.commit()
    code, output = run(app, "list")
    assert code == 0
    listed = {line.split()[0]: line for line in output.splitlines()}
    assert listed.keys() == {*PROVIDER_NAMES}
    words = listed["wavespeed"].split(maxsplit=1)[1]
    assert words == f"configured      signed callbacks    switched off: all models, {MODEL}"
    assert listed["nanobanana"].split(maxsplit=1)[1] == "not configured  unsigned callbacks"
    assert listed["newport"].split(maxsplit=1)[1] == "not configured  polled"
    assert listed["elevenlabs"].split(maxsplit=1)[1] == "not configured  answered at once"
    assert "test-wavespeed-key" not in output
    assert "whsec_" not in output


def environ(**more: str) -> dict[str, str]:
    """The environment of a command without a database."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment(UNREACHABLE), **more}


def test_without_a_database_the_list_says_what_it_cannot_know(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "providers", "list"],
        cwd=root, env=environ(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, len(done.stdout.splitlines())) == (0, len(PROVIDER_NAMES))
    assert done.stderr == "What is switched off is not known: the database cannot be used.\n"


@pytest.fixture
def simulated(root: Path) -> Iterator[subprocess.Popen[str]]:
    """All simulated providers, on free ports, without a database."""
    with subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", "providers", "simulate", "--port", "0"],
        cwd=root, env=environ(WAVESPEED_API_KEY="my-own-key"), stdout=-1, stderr=-1, text=True,
    ) as running:  # fmt: skip
        yield running
        running.kill()


def test_the_printed_lines_configure_an_application_for_every_provider(
    simulated: subprocess.Popen[str],
) -> None:
    assert simulated.stdout is not None
    assert simulated.stderr is not None
    assert simulated.stderr.readline().strip() == ""
    assert simulated.stderr.readline() == f"{len(DIALECTS)} simulated providers run until Ctrl-C.\n"
    printed = os.read(simulated.stdout.fileno(), 65536).decode()
    assert "WAVESPEED_API_KEY=my-own-key\n" in printed
    given = environ() | dict(line.split("=", 1) for line in printed.splitlines())
    providers = registry.build(load(given).providers)
    assert {name for name in DIALECTS if not providers[name].configured} == set()
    job = Job(UUID(int=1), MODEL, "image", {"prompt": "x", "simulate": "succeed"}, "http://127.0.0.1:1/x")
    assert providers["wavespeed"].submit(job).provider_job_id
    simulated.send_signal(signal.SIGINT)
    assert simulated.wait(10) == 0


def test_clear_errors_cost_one_sentence(app: Flask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, output = run(app, "simulate", "simulated", "--port", str(port))
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith(f"Error: simulated cannot listen on port {port} (")
    code, output = run(app, "simulate", "midjourney")
    assert (code, output.count("\n")) == (1, 1)
    assert output.startswith("Error: There is no simulated provider 'midjourney'; there are simulated, wavespeed")
    code, output = run(app, "simulate", "wavespeed", "nanobanana", "--port", "65535")
    assert (code, output) == (1, "Error: 2 providers need ports up to 65535; choose a lower --port.\n")
