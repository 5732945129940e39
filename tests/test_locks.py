"""The pinned versions agree with each other and with what the project asks for, and name no address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FILES = ("constraints.txt", "requirements.lock", "requirements-dev.lock")


def pins(path: Path) -> dict[str, Requirement]:
    """The pinned requirements of a file by name, without their hashes."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    found = [Requirement(line.partition("--hash=")[0]) for line in lines if line.strip()]
    return {requirement.name: requirement for requirement in found}


@pytest.mark.parametrize("name", FILES)
def test_a_lock_names_exact_versions_and_no_address(root: Path, name: str) -> None:
    assert "://" not in (root / name).read_text()
    assert len(pins(root / name)) > 40
    for requirement in pins(root / name).values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert requirement.url is None


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_of_a_lock_has_hashes(root: Path, name: str) -> None:
    lines = (root / name).read_text().replace("\\\n", " ").splitlines()
    assert all(re.search(r" --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_the_locks_agree(root: Path) -> None:
    constraints, runtime, everything = (pins(root / name) for name in FILES)
    assert everything == constraints
    assert runtime.items() <= constraints.items()


def test_the_locks_hold_what_the_project_asks_for(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, asked in (
        ("requirements.lock", [*project["dependencies"], *extras["demo"]]),
        (
            "requirements-dev.lock",
            [*project["dependencies"], *(line for lines in extras.values() for line in lines)],
        ),
    ):
        locked = pins(root / name)
        for requirement in map(Requirement, asked):
            version = str(locked[requirement.name].specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{name}: {requirement} is pinned to {version}"


def test_tests_and_checks_are_no_part_of_what_runs(root: Path) -> None:
    assert not {"pytest", "ruff", "mypy", "playwright"} & pins(root / "requirements.lock").keys()


def test_no_file_that_records_addresses_is_in_the_tree(root: Path) -> None:
    ignored = (root / ".gitignore").read_text().splitlines()
    assert {"uv.lock", "pylock.toml"} <= set(ignored)
