"""`.env.example` lists every setting, and can be used as it stands but for the secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import settings


class Recorder(Mapping[str, str]):
    """An environment that notes which of its variables are asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_given = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_given)

    def __len__(self) -> int:
        return len(self.values_given)


@pytest.fixture
def example(root: Path) -> dict[str, str]:
    lines = (root / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_lists_exactly_the_settings_that_are_read(example: dict[str, str]) -> None:
    environ = Recorder(example | {"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"})
    settings.load(environ)
    assert example.keys() == environ.asked


def test_the_example_is_a_valid_environment_with_the_defaults(example: dict[str, str]) -> None:
    secret = "0123456789abcdefghijklmnopqrstuvwxyz"
    database = example["DATABASE_URL"]
    required = {"SECRET_KEY": secret, "DATABASE_URL": database, "PUBLIC_URL": example["PUBLIC_URL"]}
    assert settings.load(example | required) == settings.load(required)


def test_the_example_alone_does_not_start(example: dict[str, str]) -> None:
    with pytest.raises(settings.SettingsError, match="SECRET_KEY"):
        settings.load(example)


def test_every_setting_stands_below_a_comment(root: Path) -> None:
    for block in (root / ".env.example").read_text().split("\n\n")[1:]:
        assert re.match(r"# ", block), block
