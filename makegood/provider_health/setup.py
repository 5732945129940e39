"""How a provider is set up: whether it is configured, what is missing, and how we hear of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from makegood.providers.external import EXTERNAL
from makegood.providers.http import Limits
from makegood.providers.protocol import Connection, Provider
from makegood.providers.registry import ADAPTERS, ANSWERED_AT_ONCE, POLLED

SETTINGS = ("api_key", "api_secret", "webhook_secret", "base_url")
PLACEHOLDER = "http://127.0.0.1:9"
SIGNED, UNSIGNED, POLLS, AT_ONCE, REPORTED = "signed", "unsigned", "polled", "at_once", "reported"


@dataclass(frozen=True)
class Setup:
    """`missing` are the names of settings without which it takes no job, or no callback is genuine."""

    configured: bool
    callbacks: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    """What is set, and a placeholder for what is tried out."""

    api_key: str | None
    api_secret: str | None
    webhook_secret: str | None
    base_url: str | None


def describe(name: str, provider: Provider | None, connection: Connection | None) -> Setup:
    """How the provider of that name is set up; None for one that this installation no longer has."""
    if provider is None:
        return Setup(False, UNSIGNED, ())
    missing = () if provider.configured or connection is None else _lacking(name, _set(connection))
    # Who signs with a secret of ours has it as a field; who signs with public keys has no such field.
    if getattr(provider, "webhook_secret", "none needed") in (None, "") and "webhook_secret" not in missing:
        missing = (*missing, "webhook_secret")
    return Setup(
        provider.configured, _callbacks(name, provider), tuple(f"{name}_{one}".upper() for one in missing)
    )


def describe_all(
    providers: Mapping[str, Provider], connections: Mapping[str, Connection], names: list[str]
) -> dict[str, Setup]:
    """How each is set up."""
    return {name: describe(name, providers.get(name), connections.get(name)) for name in names}


def _callbacks(name: str, provider: Provider) -> str:
    if name == EXTERNAL:
        return REPORTED
    if name in POLLED:
        return POLLS
    if name in ANSWERED_AT_ONCE:
        return AT_ONCE
    return SIGNED if provider.signed else UNSIGNED


@lru_cache(maxsize=100)
def _lacking(name: str, given: _Given) -> tuple[str, ...]:
    """The fewest settings that would let it take jobs, found by trying: the adapters alone know what they need."""
    unset = [field for field in SETTINGS if not getattr(given, field)]
    for count in range(1, len(unset) + 1):
        for fields in combinations(unset, count):
            tried = _Given(**{**vars(given), **dict.fromkeys(fields, PLACEHOLDER)})
            if ADAPTERS[name](name, tried, Limits()).configured:
                return fields
    return ()


def _set(connection: Connection) -> _Given:
    """Only whether each is set: no secret is kept in the cache."""
    return _Given(**{field: PLACEHOLDER if getattr(connection, field) else None for field in SETTINGS})
