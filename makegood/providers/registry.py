"""Which providers there are, and how each is reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from makegood.providers import nanobanana, protocol, wavespeed
from makegood.providers.external import External
from makegood.providers.http import FETCH_SECONDS, SUBMIT_SECONDS, Door


class Connection(Protocol):
    """How one provider is reached. Without a key it takes no job, without a secret no callback is genuine."""

    @property
    def api_key(self) -> str | None:
        """What we authenticate with."""
        ...

    @property
    def webhook_secret(self) -> str | None:
        """What its callbacks are signed with; several separated by commas while one is replaced."""
        ...

    @property
    def base_url(self) -> str | None:
        """Where it is, without a path; None for its public address."""
        ...


def build(
    connections: Mapping[str, Connection],
    *,
    submit_seconds: float = SUBMIT_SECONDS,
    fetch_seconds: float = FETCH_SECONDS,
) -> dict[str, protocol.Provider]:
    """The providers by name: those of `connections`, and "external". Raises ValueError for an unknown name."""
    providers: list[protocol.Provider] = [External()]
    for name, connection in connections.items():
        door = Door(submit_seconds=submit_seconds, fetch_seconds=fetch_seconds)
        providers.append(_adapter(name, connection, door))
    return {provider.name: provider for provider in providers}


def _adapter(name: str, connection: Connection, door: Door) -> protocol.Provider:
    base_url, api_key, secret = connection.base_url, connection.api_key, connection.webhook_secret
    if name == "wavespeed":
        return wavespeed.WaveSpeed(name, door, base_url or wavespeed.BASE_URL, api_key, secret)
    if name == "simulated":
        return wavespeed.WaveSpeed(name, door, base_url, api_key, secret)
    if name == "nanobanana":
        return nanobanana.NanoBanana(name, door, base_url or nanobanana.BASE_URL, api_key)
    raise ValueError(f"There is no adapter for a provider {name!r}.")
