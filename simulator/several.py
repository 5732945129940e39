"""Several simulated providers in one process, with the keys that the environment names for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from simulator.server import API_KEY, API_SECRET, WEBHOOK_SECRET, Simulator, start

DEFAULTS = {"API_KEY": API_KEY, "API_SECRET": API_SECRET, "WEBHOOK_SECRET": WEBHOOK_SECRET}


class PortTaken(Exception):
    """A server cannot listen on its port; the message says on which, and why."""


@contextmanager
def several(ports: Mapping[str, int], environ: Mapping[str, str], **options: Any) -> Iterator[list[Simulator]]:
    """Run the providers of `ports` (0: a free one) until the block ends; `options` are those of `start`.

    Keys are those of KLING_API_KEY and so on, where they are set. Raises PortTaken.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(_start(name, port, environ, options)) for name, port in ports.items()]


def lines(simulator: Simulator) -> list[str]:
    """The lines for the environment of an application that shall use this provider."""
    prefix, keys = simulator.name.upper(), simulator.keys
    values = {
        "API_KEY": keys.api_key,
        "API_SECRET": keys.api_secret,
        "WEBHOOK_SECRET": keys.webhook_secret,
    }
    needed = {"BASE_URL": simulator.base_url, **{name: values[name] for name in simulator.settings}}
    return [f"{prefix}_{name}={value}" for name, value in needed.items()]


def _start(name: str, port: int, environ: Mapping[str, str], options: Mapping[str, Any]) -> Simulator:
    keys: dict[str, Any] = {
        setting.lower(): environ.get(f"{name.upper()}_{setting}") or default
        for setting, default in DEFAULTS.items()
    }
    try:
        return start(port, dialect=name, **keys, **options)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PortTaken(f"{name} cannot listen on port {port} ({reason})") from None
