"""What a checkout without settings remembers between two runs: `.makegood/demo.json`, for its owner only."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from settings import ENVIRONMENTS, SettingsError

DIRECTORY = Path(__file__).resolve().parents[1] / ".makegood"
FILE = "demo.json"
PORTS = {"simulated": 8900, "kling": 8901, "bfl": 8902, "luma": 8903, "elevenlabs": 8904, "replicate": 8905}
"""Where the simulated providers listen, when nobody else does."""
STRIPE_PORT = 8910
STRIPE_FILE = "stripe.json"
"""The account at the simulated Stripe, beside the state."""
FAILURES_PER_HOUR = "100"
"""The demo's traffic is that of a larger platform: some forty of its generations fail in an hour."""


@dataclasses.dataclass
class State:
    """Secrets made up once, and what the last demo chose."""

    secret_key: str
    provider_key: str
    provider_secret: str
    password: str
    api_key: str = ""
    stats_key: str = ""
    ports: dict[str, int] = dataclasses.field(default_factory=dict)
    stripe_port: int = STRIPE_PORT

    def __post_init__(self) -> None:
        self.ports = {name: self.ports.get(name, port) for name, port in PORTS.items()}

    def environ(self) -> dict[str, str]:
        """The settings that the state stands in for."""
        return {
            "ENVIRONMENT": "demo",
            "SECRET_KEY": self.secret_key,
            "FAILURES_PER_HOUR": FAILURES_PER_HOUR,
            **{name: value for provider in self.ports for name, value in self._provider(provider).items()},
            "STRIPE_BASE_URL": f"http://127.0.0.1:{self.stripe_port}",
            "STRIPE_API_KEY": f"rk_test_{self.provider_key}",
            "STRIPE_WEBHOOK_SECRET": f"whsec_{self._secret}",
        }

    @property
    def _secret(self) -> str:
        """Some read a secret as text and some as base64: it is both."""
        return base64.b64encode(hashlib.sha256(self.provider_secret.encode()).digest()).decode()

    def _provider(self, name: str) -> dict[str, str]:
        values = {
            "BASE_URL": f"http://127.0.0.1:{self.ports[name]}",
            "API_KEY": self.provider_key,
            "API_SECRET": self._secret,
            "WEBHOOK_SECRET": f"whsec_{self._secret}",
        }
        return {f"{name.upper()}_{setting}": value for setting, value in values.items()}


def complete(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The settings of this process: with the demo's beneath them, when they are for the demo or there are none.

    Raises SettingsError when a production or a test was given no database.
    """
    given = {name for name in ("ENVIRONMENT", "DATABASE_URL", "SECRET_KEY") if environ.get(name)}
    if not given or environ.get("ENVIRONMENT") == "demo":
        return {**load().environ(), **{name: value for name, value in environ.items() if value}}
    if "DATABASE_URL" not in given and environ.get("ENVIRONMENT", "") in ("", *ENVIRONMENTS):
        raise SettingsError(
            "DATABASE_URL is not set: name a PostgreSQL, or set ENVIRONMENT=demo for the embedded one."
        )
    return environ


def load() -> State:
    """The state of this checkout, made when there is none. Raises SettingsError when it cannot be read or made."""
    path = DIRECTORY / FILE
    try:
        DIRECTORY.mkdir(exist_ok=True)
        if not path.exists():
            _publish(_new(), path, replace=False)
        known, read = {field.name for field in dataclasses.fields(State)}, json.loads(path.read_text())
        return State(**{name: value for name, value in read.items() if name in known})
    except (ValueError, TypeError, AttributeError):
        raise SettingsError(f"{path} is damaged; remove it, and the demo makes a new one.") from None
    except OSError as error:
        raise SettingsError(
            f"The demo keeps its state in {DIRECTORY}, which cannot be used ({error.strerror})."
        ) from None


def save(state: State) -> None:
    """Remember the state. Raises OSError."""
    _publish(state, DIRECTORY / FILE, replace=True)


def _new() -> State:
    return State(
        secret_key=secrets.token_urlsafe(48),
        provider_key=secrets.token_urlsafe(24),
        provider_secret=f"whsec_{secrets.token_urlsafe(32)}",
        password=secrets.token_urlsafe(12),
    )


def _publish(state: State, path: Path, *, replace: bool) -> None:
    """Write the file whole, readable by its owner only; without `replace` the first of several writers wins."""
    write_private(path, json.dumps(dataclasses.asdict(state), indent=2) + "\n", replace=replace)


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Put a file there, complete or not at all, that only its owner can read. Raises OSError."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        if replace:
            os.replace(scratch, path)
        else:
            with suppress(FileExistsError):
                os.link(scratch, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(scratch)
