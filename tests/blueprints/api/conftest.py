"""What the tests of the API share with simulated providers behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime

import pytest

import tasks.generations
from makegood import reconcile
from makegood.providers import registry
from makegood.providers.http import Limits
from settings import ProviderSettings
from simulator.server import API_KEY, API_SECRET, Simulator, start
from tests.backend import Platform


@pytest.fixture
def simulate(platform: Platform) -> Iterator[Callable[[str], Simulator]]:
    """Puts a simulated provider behind the application."""
    with ExitStack() as stack:

        def do(name: str) -> Simulator:
            simulator = stack.enter_context(start(dialect=name, seed=1, speed=200.0))
            reach = ProviderSettings(API_KEY, API_SECRET, None, simulator.base_url)
            provider = registry.build({name: reach}, Limits(submit_seconds=1.0))[name]
            platform.app.extensions["providers"][name] = provider
            return simulator

        yield do


@pytest.fixture
def reconcile_at(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Does what the worker does with what is due at some time."""
    claim = reconcile.claim

    def do(at: datetime) -> None:
        with monkeypatch.context() as patch, platform.app.app_context():
            patch.setattr(reconcile, "claim", lambda session, *, limit: claim(session, limit=limit, at=at))
            tasks.generations.reconcile_due(platform.app)

    return do
