"""`flask providers`: which providers there are, and their protocols on this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from commands import one_sentence
from embedded import EmbeddedError
from extensions import db
from makegood import provider_health, switches
from makegood.providers.external import EXTERNAL
from makegood.providers.protocol import Provider
from makegood.switches import ALL_MODELS

FIRST_PORT = 8901
LAST_PORT = 65535
HEARD = {
    "signed": "signed callbacks",
    "unsigned": "unsigned callbacks",
    "polled": "polled",
    "at_once": "answered at once",
}

group = AppGroup("providers", help="Which providers there are, and their protocols on this machine.")


@group.command("list")
def listed() -> None:
    """Show every provider: configured or not, how it reports, what is switched off. Never a key."""
    providers: Mapping[str, Provider] = current_app.extensions["providers"]
    off = _switched_off()
    width = max(len(name) for name in providers)
    for name in sorted(providers.keys() - {EXTERNAL}):
        provider = providers[name]
        state = "configured" if provider.configured else "not configured"
        models = (off or {}).get(name)
        switched = f"  switched off: {', '.join(models)}" if models else ""
        click.echo(f"{name:<{width}}  {state:<14}  {_reports(provider):<18}{switched}".rstrip())
    if off is None:
        click.echo("What is switched off is not known: the database cannot be used.", err=True)


@group.command("simulate")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--port", type=click.IntRange(0, LAST_PORT), default=FIRST_PORT, show_default=True,
              help="Where the first one listens, the others behind it; 0 takes free ones.")  # fmt: skip
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True,
              help="Divides every duration.")  # fmt: skip
@click.option("--seed", type=int, help="Makes chance repeat itself.")
def simulate(names: tuple[str, ...], port: int, speed: float, seed: int | None) -> None:
    """Speak the protocols of these providers (all) on this machine until Ctrl-C.

    Prints the lines to put into the environment of an application that shall use them.
    """
    from simulator.several import PortTaken, lines, several  # here, because every web process imports this module

    with one_sentence():
        ports = _ports(names, port)
        done = threading.Event()
        before = {
            number: signal.signal(number, lambda *_: done.set()) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            with several(ports, os.environ, speed=speed, seed=seed) as running:
                for simulator in running:
                    click.echo("\n".join(lines(simulator)))
                click.echo(f"\n{len(running)} simulated providers run until Ctrl-C.", err=True)
                done.wait()
        except PortTaken as error:
            raise click.ClickException(f"{error}; choose another first port with --port.") from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _switched_off() -> dict[str, list[str]] | None:
    """The models that are switched off, by provider; None without a database."""
    found: dict[str, list[str]] = {}
    try:
        for switch in switches.listed(db.session()):
            words = "all models" if switch.model == ALL_MODELS else switch.model
            found.setdefault(switch.provider, []).append(words)
    except (SQLAlchemyError, EmbeddedError):
        return None
    return found


def _reports(provider: Provider) -> str:
    """How a job's end becomes known."""
    return HEARD[provider_health.describe(provider.name, provider, None).callbacks]


def _ports(names: tuple[str, ...], first: int) -> dict[str, int]:
    """A port for each name. Raises ClickException."""
    from simulator.dialects import DIALECTS

    for name in names:
        if name not in DIALECTS:
            raise click.ClickException(
                f"There is no simulated provider {name!r}; there are {', '.join(DIALECTS)}."
            )
    chosen = tuple(dict.fromkeys(names)) or tuple(DIALECTS)
    if first and first + len(chosen) - 1 > LAST_PORT:
        raise click.ClickException(f"{len(chosen)} providers need ports up to {LAST_PORT}; choose a lower --port.")
    return {name: first + number if first else 0 for number, name in enumerate(chosen)}
