"""How providers are set up: what is missing, by the names of the settings."""

from __future__ import annotations

import pytest

from makegood.provider_health.setup import describe, describe_all
from makegood.providers import registry
from makegood.providers.registry import ADAPTERS
from tests.samples import Reach

NOTHING = Reach(base_url=None, api_key=None, api_secret=None, webhook_secret=None)


def setup_of(name: str, reach: Reach = NOTHING):  # type: ignore[no-untyped-def]
    return describe(name, registry.build({name: reach})[name], reach)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("wavespeed", ("WAVESPEED_API_KEY", "WAVESPEED_WEBHOOK_SECRET")),
        ("nanobanana", ("NANOBANANA_API_KEY",)),
        ("kling", ("KLING_API_KEY", "KLING_API_SECRET")),
        ("simulated", ("SIMULATED_API_KEY", "SIMULATED_BASE_URL", "SIMULATED_WEBHOOK_SECRET")),
        ("fal", ("FAL_API_KEY",)),
    ],
)
def test_without_anything_everything_needed_is_missing(name: str, missing: tuple[str, ...]) -> None:
    found = setup_of(name)
    assert not found.configured
    assert found.missing == missing


@pytest.mark.parametrize("name", ADAPTERS)
def test_setting_what_is_missing_configures_a_provider(name: str) -> None:
    lacking = {setting.removeprefix(f"{name.upper()}_").lower() for setting in setup_of(name).missing}
    complete = Reach(**{field: "http://127.0.0.1:9" if field in lacking else None for field in vars(NOTHING)})
    assert lacking
    assert setup_of(name, complete).missing == ()
    assert setup_of(name, complete).configured


def test_only_what_is_not_set_is_missing() -> None:
    assert setup_of("kling", Reach(base_url=None, api_secret=None)).missing == ("KLING_API_SECRET",)
    found = setup_of("wavespeed", Reach(base_url=None))
    assert (found.configured, found.missing) == (True, ("WAVESPEED_WEBHOOK_SECRET",))


def test_it_is_said_how_we_hear_of_a_providers_jobs() -> None:
    providers = registry.build(dict.fromkeys(ADAPTERS, NOTHING))
    found = describe_all(providers, {}, [*providers, "gone"])
    kinds = {name: one.callbacks for name, one in found.items()}
    assert kinds["wavespeed"] == kinds["replicate"] == "signed"
    assert kinds["nanobanana"] == kinds["luma"] == "unsigned"
    assert kinds["newport"] == "polled"
    assert kinds["elevenlabs"] == "at_once"
    assert kinds["external"] == "reported"
    assert found["external"].configured
    assert not found["gone"].configured
