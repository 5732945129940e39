"""Settings that would send a secret where it does not belong, or hold more than is needed, stop the start."""

from __future__ import annotations

import pytest

from settings import SettingsError, load
from tests.conftest import environment

ANYWHERE = environment("postgresql://localhost/x")


@pytest.mark.parametrize("key", ["sk_live_0123456789", "pk_live_0123456789", "whsec_0123456789"])
def test_a_key_that_may_write_or_is_none_is_refused_and_not_repeated(key: str) -> None:
    """A secret key of live mode could move money."""
    with pytest.raises(
        SettingsError, match=r"STRIPE_API_KEY must begin with rk_.*make a restricted key"
    ) as caught:
        load(ANYWHERE | {"STRIPE_API_KEY": key})
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", ["rk_live_0123456789", "rk_test_0123456789", "sk_test_0123456789"])
def test_restricted_keys_and_those_of_test_mode_will_do(key: str) -> None:
    """Trying things out begins with a secret key of test mode."""
    assert load(ANYWHERE | {"STRIPE_API_KEY": key}).stripe.api_key == key


def test_in_production_the_key_is_sent_over_https_or_to_this_machine_only() -> None:
    """Elsewhere it could be read on its way."""
    production = ANYWHERE | {"ENVIRONMENT": "production", "PUBLIC_URL": "https://m.example"}
    with pytest.raises(SettingsError, match=r"STRIPE_BASE_URL.*https://"):
        load(production | {"STRIPE_BASE_URL": "http://stripe.example"})
    for address in ("https://stripe.example", "http://127.0.0.1:9", "http://[::1]:9"):
        assert load(production | {"STRIPE_BASE_URL": address}).stripe.base_url == address
    assert load(ANYWHERE | {"STRIPE_BASE_URL": "http://stripe.example"}).stripe.base_url
