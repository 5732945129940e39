"""What a checkout without settings falls back to."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import settings
from demo import state


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's state directory that does not exist yet."""
    monkeypatch.setattr(state, "DIRECTORY", tmp_path / ".makegood")
    return tmp_path / ".makegood"


def test_without_settings_a_checkout_is_the_demo_with_secrets_that_last(directory: Path) -> None:
    first = settings.load(state.complete({}))
    assert first.environment == "demo"
    assert first.database_url is None
    assert first.providers["simulated"].base_url == "http://127.0.0.1:8900"
    assert settings.load(state.complete({"ENVIRONMENT": "demo"})).secret_key == first.secret_key
    assert stat.S_IMODE((directory / "demo.json").stat().st_mode) == 0o600


def test_what_is_set_goes_before_what_the_demo_remembers() -> None:
    given = {"ENVIRONMENT": "demo", "SIMULATED_BASE_URL": "http://127.0.0.1:9999", "REPORTING_TIMEZONE": ""}
    loaded = settings.load(state.complete(given))
    assert loaded.providers["simulated"].base_url == "http://127.0.0.1:9999"


@pytest.mark.parametrize(
    "environ",
    [
        {"DATABASE_URL": "postgresql://localhost/makegood"},
        {"DATABASE_URL": "postgresql://localhost/makegood", "ENVIRONMENT": "production"},
    ],
)
def test_who_names_a_database_must_name_a_secret(environ: dict[str, str], directory: Path) -> None:
    with pytest.raises(settings.SettingsError, match="SECRET_KEY must be"):
        settings.load(state.complete(environ))
    assert not directory.exists()


@pytest.mark.parametrize(
    "environ", [{"ENVIRONMENT": "production"}, {"SECRET_KEY": "x" * 50}, {"ENVIRONMENT": "test"}]
)
def test_only_the_demo_goes_without_a_database(environ: dict[str, str], directory: Path) -> None:
    with pytest.raises(
        settings.SettingsError, match="DATABASE_URL is not set: name a PostgreSQL, or set ENVIRONMENT"
    ):
        state.complete(environ)
    assert not directory.exists()


def test_processes_that_start_together_share_one_secret() -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: state.load().secret_key, range(50)))
    assert len(set(loaded)) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"surprise": 1}'])
def test_a_damaged_state_is_named(directory: Path, damage: str) -> None:
    directory.mkdir()
    (directory / "demo.json").write_text(damage)
    with pytest.raises(settings.SettingsError, match=r"demo\.json is damaged; remove it"):
        state.load()


def test_a_place_that_cannot_be_used_is_named(directory: Path) -> None:
    directory.write_text("")
    with pytest.raises(settings.SettingsError, match=r"keeps its state in .*\.makegood, which cannot be used"):
        state.load()


def test_a_saved_state_is_whole_and_private(directory: Path) -> None:
    known = state.load()
    known.api_key = "mg_example"
    state.save(known)
    assert state.load() == known
    assert [path.name for path in directory.iterdir()] == ["demo.json"]
    assert json.loads((directory / "demo.json").read_text())["api_key"] == "mg_example"
    assert stat.S_IMODE((directory / "demo.json").stat().st_mode) == 0o600
