"""Which providers there are, and how each is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from makegood.providers import (
    bfl,
    elevenlabs,
    fal,
    kling,
    luma,
    nanobanana,
    newport,
    piapi,
    protocol,
    replicate,
    wavespeed,
)
from makegood.providers.external import EXTERNAL, External
from makegood.providers.http import Limits

ADAPTERS: Mapping[str, Callable[[str, protocol.Connection, Limits], protocol.Provider]] = {
    "wavespeed": wavespeed.build,
    "nanobanana": nanobanana.build,
    "luma": luma.build,
    "kling": kling.build,
    "elevenlabs": elevenlabs.build,
    "newport": newport.build,
    "replicate": replicate.build,
    "bfl": bfl.build,
    "fal": fal.build,
    "piapi": piapi.build,
    "simulated": wavespeed.build_simulated,
}
"""Every provider that can be configured: its name in settings, prices and addresses, and its adapter."""

POLLED: Mapping[str, timedelta] = {"newport": timedelta(seconds=10)}
"""Providers that call nobody back, and how soon after its charge a job there is first looked at."""

ANSWERED_AT_ONCE = frozenset({"elevenlabs"})
"""Providers whose answer to a submit is the result: they call nobody back either."""

WITH_API_SECRET = frozenset({"kling"})
"""Providers that give out a secret beside the key."""


def build(
    connections: Mapping[str, protocol.Connection], limits: Limits | None = None
) -> dict[str, protocol.Provider]:
    """The providers by name: those of `connections`, and "external". Raises ValueError for an unknown name."""
    providers: dict[str, protocol.Provider] = {EXTERNAL: External()}
    for name, connection in connections.items():
        if name not in ADAPTERS:
            raise ValueError(f"There is no adapter for a provider {name!r}.")
        providers[name] = ADAPTERS[name](name, connection, limits or Limits())
    return providers
