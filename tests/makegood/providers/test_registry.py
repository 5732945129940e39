"""Which providers there are."""

from __future__ import annotations

import gc
from datetime import UTC, datetime

import pytest

import settings
from makegood.providers import registry
from makegood.providers.protocol import CallbackRejected, FetchFailed, SubmitRefused, Units
from settings import PROVIDER_NAMES, ProviderSettings
from tests.loopback import Loopback
from tests.samples import job_for, make


def test_every_provider_of_the_settings_is_there_under_its_name() -> None:
    environ = {"ENVIRONMENT": "test", "SECRET_KEY": "only-for-tests-0123456789-abcdefghijklmnop"}
    loaded = settings.load(environ)
    providers = registry.build(loaded.providers)
    assert set(providers) == {*PROVIDER_NAMES, "external"}
    assert all(provider.name == name for name, provider in providers.items())


def test_an_unknown_provider_is_named() -> None:
    with pytest.raises(ValueError, match="'acme'"):
        registry.build({"acme": ProviderSettings()})


def test_an_external_provider_is_never_called() -> None:
    external = registry.build({})["external"]
    assert external.units("anything", {"a": 1}) == Units("generation", 1)
    with pytest.raises(SubmitRefused):
        external.submit(job_for("wavespeed"))
    with pytest.raises(CallbackRejected):
        external.parse_callback({}, b"{}", datetime.now(UTC), "token")
    with pytest.raises(FetchFailed):
        external.fetch("a", "b")


def test_connections_are_closed_with_their_adapter(loopback: Loopback, recwarn: pytest.WarningsRecorder) -> None:
    provider = make("wavespeed", base_url=loopback.url)
    with pytest.raises(FetchFailed):
        provider.fetch("a", "b")
    del provider
    gc.collect()
    assert [warning for warning in recwarn if warning.category is ResourceWarning] == []
