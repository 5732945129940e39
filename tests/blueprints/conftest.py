"""What the tests of routes share."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.backend import Platform
from tests.making import FakeProvider
from tests.people import add_key


@pytest.fixture
def platform(app: Flask) -> Platform:
    """A platform's backend with an API key."""
    provider = FakeProvider()
    app.extensions["providers"]["wavespeed"] = provider
    return Platform(app, app.test_client(), add_key(app, "platform"), provider)
