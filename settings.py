"""Settings: environment variables, read once. A wrong value stops the start with a sentence that names it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from makegood.providers.registry import ADAPTERS, WITH_API_SECRET
from makegood.revenue import mrr_rules
from makegood.revenue.mrr_rules import MrrRules
from makegood.terms import Terms

PROVIDER_NAMES = tuple(ADAPTERS)
ENVIRONMENTS = ("production", "demo", "test")
MIN_SECRET_LENGTH = 32
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PUBLISHED_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 (the standard's example, known to all)


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it and says what to do."""


@dataclass(frozen=True)
class ProviderSettings:
    """How one provider is reached. Values are secrets but for the base URL."""

    api_key: str | None = field(default=None, repr=False)
    api_secret: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    base_url: str | None = None


@dataclass(frozen=True)
class StripeSettings:
    """How Stripe is read and heard: never written to. Values are secrets but for the base URL and the date.

    What was paid for before `grants_since` (UTC) grants no credits; None: before Stripe was first read or heard.
    """

    api_key: str | None = field(default=None, repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    base_url: str | None = None
    grants_since: datetime | None = None


@dataclass(frozen=True)
class Settings:
    """All settings of one process."""

    environment: str
    database_url: str | None = field(repr=False)
    secret_key: str = field(repr=False)
    public_url: str
    terms: Terms
    providers: Mapping[str, ProviderSettings]
    trusted_proxies: int
    session_idle: timedelta
    session_lifetime: timedelta
    require_second_factor: str
    live_nudge: bool = False
    notify_url: str | None = None
    notify_secrets: tuple[str, ...] = field(default=(), repr=False)
    stripe: StripeSettings = field(default_factory=StripeSettings)
    mrr: MrrRules = field(default_factory=MrrRules)


def load(environ: Mapping[str, str]) -> Settings:
    """Read every setting. Raises SettingsError for the first wrong one."""
    environment = _choice(environ, "ENVIRONMENT", "production", ENVIRONMENTS)
    return Settings(
        environment=environment,
        database_url=_database_url(environ),
        secret_key=_secret_key(environ),
        public_url=_public_url(environ, environment),
        terms=Terms(
            timezone=_timezone(environ, "REPORTING_TIMEZONE", "UTC"),
            check_after=_seconds(environ, "CHECK_AFTER_SECONDS", 120),
            deadline=_seconds(environ, "DEADLINE_SECONDS", 1800),
            stuck_after=_seconds(environ, "STUCK_AFTER_SECONDS", 600),
            failures_per_hour=_integer(environ, "FAILURES_PER_HOUR", 5, 0, 1_000_000),
            returned_credits_live=timedelta(days=_integer(environ, "RETURNED_CREDITS_DAYS", 30, 1, 3650)),
            outputs_live=timedelta(hours=_integer(environ, "OUTPUT_HOURS", 24, 1, 24 * 365)),
            notify=bool(environ.get("NOTIFY_URL")),
            balance_days=_integer(environ, "PROVIDER_BALANCE_DAYS", 3, 0, 365),
        ),
        providers={name: _provider(environ, name) for name in PROVIDER_NAMES},
        trusted_proxies=_integer(environ, "TRUSTED_PROXIES", 0, 0, 10),
        session_idle=_minutes(environ, "SESSION_IDLE_MINUTES", 120),
        session_lifetime=_minutes(environ, "SESSION_LIFETIME_MINUTES", 720),
        require_second_factor=_choice(
            environ,
            "REQUIRE_SECOND_FACTOR",
            "admin" if environment == "production" else "none",
            ("admin", "all", "none"),
        ),
        live_nudge=_choice(environ, "LIVE_NUDGE", "off", ("off", "on")) == "on",
        notify_url=_notify_url(environ, environment),
        notify_secrets=_notify_secrets(environ),
        stripe=_stripe(environ, environment),
        mrr=_mrr(environ),
    )


def _public_url(environ: Mapping[str, str], environment: str) -> str:
    if environment == "production" and not environ.get("PUBLIC_URL"):
        raise SettingsError(
            "PUBLIC_URL is not set: name the address at which providers reach Makegood, "
            "such as https://makegood.example.com"
        )
    return _url(environ, "PUBLIC_URL", "http://127.0.0.1:8000", ("http", "https")).rstrip("/")


def _notify_url(environ: Mapping[str, str], environment: str) -> str | None:
    if not environ.get("NOTIFY_URL"):
        return None
    plain = () if environment == "production" else ("http",)
    url = _url(environ, "NOTIFY_URL", "", ("https", *plain))
    if "@" in urlsplit(url).netloc:
        raise SettingsError("NOTIFY_URL carries a user name; NOTIFY_SECRET is what proves notifications")
    return url


def _notify_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    secrets = tuple(part.strip() for part in environ.get("NOTIFY_SECRET", "").split(",") if part.strip())
    if not environ.get("NOTIFY_URL"):
        return ()
    if not secrets or not all(_is_notify_secret(secret) for secret in secrets):
        raise SettingsError(
            "NOTIFY_SECRET must be whsec_ and the base64 of at least 24 random bytes (several separated by commas "
            "while one is replaced). Make one with: python3 -c 'import base64, secrets; "
            'print("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())\''
        )
    return secrets


def _is_notify_secret(secret: str) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return secret.startswith("whsec_") and len(key) >= 24 and secret != PUBLISHED_SECRET


def _provider(environ: Mapping[str, str], name: str) -> ProviderSettings:
    prefix = name.upper()
    base_url = environ.get(f"{prefix}_BASE_URL") or None
    if base_url is not None:
        base_url = _url(environ, f"{prefix}_BASE_URL", "", ("http", "https")).rstrip("/")
    return ProviderSettings(
        api_key=environ.get(f"{prefix}_API_KEY") or None,
        api_secret=(environ.get(f"{prefix}_API_SECRET") or None) if name in WITH_API_SECRET else None,
        webhook_secret=environ.get(f"{prefix}_WEBHOOK_SECRET") or None,
        base_url=base_url,
    )


def _stripe(environ: Mapping[str, str], environment: str) -> StripeSettings:
    base_url = environ.get("STRIPE_BASE_URL") or None
    if base_url is not None:
        base_url = _url(environ, "STRIPE_BASE_URL", "", ("http", "https")).rstrip("/")
        parts = urlsplit(base_url)
        if environment == "production" and parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise SettingsError(
                f"STRIPE_BASE_URL is {base_url!r}; it must begin with https://, because the key is sent there. "
                "Leave it empty for Stripe itself."
            )
    api_key = environ.get("STRIPE_API_KEY") or None
    # A secret key of test mode moves no money, and is what trying things out begins with.
    if api_key is not None and not api_key.startswith(("rk_", "sk_test_")):
        raise SettingsError(
            "STRIPE_API_KEY must begin with rk_ (sk_test_ will do in test mode): make a restricted key that may "
            "only read, in Stripe's dashboard under Developers, API keys"
        )
    secrets = tuple(part.strip() for part in environ.get("STRIPE_WEBHOOK_SECRET", "").split(",") if part.strip())
    if not all(secret.startswith("whsec_") and len(secret) >= 24 for secret in secrets):
        raise SettingsError(
            "STRIPE_WEBHOOK_SECRET must be the signing secret of the webhook endpoint, which begins with whsec_ "
            "(several separated by commas while one is replaced)"
        )
    return StripeSettings(api_key, secrets, base_url, _day(environ, "STRIPE_GRANTS_SINCE"))


def _mrr(environ: Mapping[str, str]) -> MrrRules:
    return MrrRules(
        coupons=_choice(environ, "MRR_COUPONS", "forever", mrr_rules.COUPONS),
        cancellation=_choice(environ, "MRR_CANCELLATION", "now", mrr_rules.CANCELLATION),
        past_due=_choice(environ, "MRR_PAST_DUE", "in", mrr_rules.INCLUDED),
        paused=_choice(environ, "MRR_PAUSED", "in", mrr_rules.INCLUDED),
    )


def _day(environ: Mapping[str, str], name: str) -> datetime | None:
    value = environ.get(name) or None
    if value is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        raise SettingsError(f"{name} is {value!r}; it must be a date such as 2026-11-21.") from None


def _secret_key(environ: Mapping[str, str]) -> str:
    value = environ.get("SECRET_KEY", "")
    if len(value) < MIN_SECRET_LENGTH or len(set(value)) < 8:
        raise SettingsError(
            f"SECRET_KEY must be a random text of at least {MIN_SECRET_LENGTH} characters. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return value


def _database_url(environ: Mapping[str, str]) -> str | None:
    value = environ.get("DATABASE_URL") or None
    if value is None:
        return None
    scheme, separator, rest = value.partition("://")
    address = f"postgresql+psycopg://{rest}"
    try:
        make_url(address)
    except (ArgumentError, ValueError):
        separator = ""
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise SettingsError(
            "DATABASE_URL must be a PostgreSQL address such as postgresql://user:password@host:5432/makegood"
        )
    return address


def _timezone(environ: Mapping[str, str], name: str, default: str) -> ZoneInfo:
    value = environ.get(name) or default
    try:
        return ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"{name} is {value!r}, which is no time zone. Use a name such as UTC or Europe/Berlin."
        ) from None


def _url(environ: Mapping[str, str], name: str, default: str, schemes: tuple[str, ...]) -> str:
    value = environ.get(name) or default
    try:
        parts = urlsplit(value)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        raise SettingsError(f"{name} is {value!r}; it must look like https://makegood.example.com")
    return value


def _choice(environ: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = environ.get(name) or default
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
    return value


def _integer(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = environ.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
        raise SettingsError(f"{name} is {value!r}; it must be a whole number from {least} to {most}.")
    return int(value)


def _seconds(environ: Mapping[str, str], name: str, default: int) -> timedelta:
    return timedelta(seconds=_integer(environ, name, default, 1, 30 * 86400))


def _minutes(environ: Mapping[str, str], name: str, default: int) -> timedelta:
    return timedelta(minutes=_integer(environ, name, default, 1, 365 * 1440))
