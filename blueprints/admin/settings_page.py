"""What this deployment is set to, without secrets; and what is set in the console, with who changed it last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import current_app, render_template, url_for
from sqlalchemy import text

from blueprints import access, formats
from blueprints.admin import blueprint
from extensions import db
from makegood import audit_log, throttles
from makegood.provider_health import setup
from settings import Settings


@dataclass(frozen=True)
class Row:
    """A setting of the deployment: in words, its environment variable, its value, and what it does."""

    label: str
    variable: str
    value: str
    meaning: str = ""


@dataclass(frozen=True)
class Changed:
    """A setting of the console: its page, and who changed it when; None while it is as shipped."""

    label: str
    address: str
    actor: str | None
    at: datetime | None


IN_THE_CONSOLE = (
    ("Refund policy", "admin.policies", ("policy.published",)),
    ("What unknown errors mean", "admin.unmapped_errors", ("error.mapped", "error.unmapped")),
    ("Limits", "admin.limits", ("limits.changed",)),
    (
        "Providers' prices",
        "admin.prices",
        ("price.added", "price.changed", "price.corrected", "price.ended", "price.withdrawn", "prices.imported"),
    ),
    ("Credit prices", "admin.credit_prices", ("credit_price.added",)),
    ("Exchange rates", "admin.exchange_rates", ("exchange_rates.saved",)),
    ("Providers switched on and off", "admin.providers", ("provider.switched_off", "provider.switched_on")),
    (
        "Operators and their roles",
        "admin.operators",
        ("operator.created", "operator.invited", "operator.role_changed", "operator.disabled", "operator.enabled"),
    ),
    ("API keys", "admin.api_keys", ("api_key.created", "api_key.revoked")),
)


@blueprint.get("/settings", endpoint="settings")
@access.requires("read_settings")
def show_settings() -> str:
    """Everything that is set, read only."""
    settings: Settings = current_app.config["SETTINGS"]
    providers = current_app.extensions["providers"]
    return render_template(
        "admin/settings.html",
        groups=_groups(settings),
        providers=setup.describe_all(providers, settings.providers, sorted(providers)),
        hosts={name: _host(one.base_url) for name, one in settings.providers.items()},
        throttles=throttles.FOR_EACH_OPERATOR,
        changed=[_changed(*one) for one in IN_THE_CONSOLE if one[1] in current_app.view_functions],
    )


def _groups(settings: Settings) -> list[tuple[str, list[Row]]]:
    terms = settings.terms
    server = db.session.scalar(text("SHOW server_version"))
    return [
        (
            "Deployment",
            [
                Row("Environment", "ENVIRONMENT", settings.environment),
                Row("Public address", "PUBLIC_URL", settings.public_url, "Where providers send their callbacks."),
                Row("Database", "DATABASE_URL", f"PostgreSQL {server}", "Its address and password stay secret."),
                Row("Trusted proxies", "TRUSTED_PROXIES", formats.number(settings.trusted_proxies)),
                Row("Live nudges", "LIVE_NUDGE", "on" if settings.live_nudge else "off"),
            ],
        ),
        (
            "Figures and time limits",
            [
                Row("Reporting time zone", "REPORTING_TIMEZONE", terms.timezone.key, "Decides when a day begins."),
                Row("Looked up after", "CHECK_AFTER_SECONDS", _span(terms.check_after), "At the provider."),
                Row("Given up after", "DEADLINE_SECONDS", _span(terms.deadline), "Fails as a timeout: refunded."),
                Row("Called stuck after", "STUCK_AFTER_SECONDS", _span(terms.stuck_after)),
                Row("Failures an hour that alarm", "FAILURES_PER_HOUR", f"more than {terms.failures_per_hour}"),
                Row("Returned credits live", "RETURNED_CREDITS_DAYS", _span(terms.returned_credits_live),
                    "Where their grant has expired meanwhile."),
                Row("Results are kept", "OUTPUT_HOURS", _span(terms.outputs_live)),
                Row("Balance that alarms", "PROVIDER_BALANCE_DAYS",
                    f"less than {formats.counted(terms.balance_days, 'day')} left"),
            ],
        ),
        (
            "Monthly recurring revenue",
            [
                Row("Coupons that reduce it", "MRR_COUPONS", settings.mrr.coupons),
                Row("Scheduled cancellation leaves it", "MRR_CANCELLATION", settings.mrr.cancellation),
                Row("Past due", "MRR_PAST_DUE", settings.mrr.past_due),
                Row("Paused collection", "MRR_PAUSED", settings.mrr.paused),
            ],
        ),
        (
            "Log-in",
            [
                Row("Session without activity", "SESSION_IDLE_MINUTES", _span(settings.session_idle)),
                Row("Session at most", "SESSION_LIFETIME_MINUTES", _span(settings.session_lifetime)),
                Row("Second factor", "REQUIRE_SECOND_FACTOR", SECOND_FACTOR[settings.require_second_factor]),
            ],
        ),
        (
            "Notifications of your platform",
            [Row("Address", "NOTIFY_URL", _host(settings.notify_url) or "not set: nobody is told")],
        ),
        ("Stripe", _stripe(settings)),
    ]  # fmt: skip


def _stripe(settings: Settings) -> list[Row]:
    values = settings.stripe
    endpoints = len(values.webhook_secrets)
    return [
        Row("API key", "STRIPE_API_KEY", "set" if values.api_key else "not set: nothing is read", "Only reads."),
        Row("Signing secrets of webhooks", "STRIPE_WEBHOOK_SECRET",
            formats.number(endpoints) if endpoints else "not set: deliveries are refused"),
        Row("Address", "STRIPE_BASE_URL", _host(values.base_url) or "Stripe’s own"),
        Row("Payments give credits since", "STRIPE_GRANTS_SINCE",
            f"{values.grants_since:%Y-%m-%d} UTC" if values.grants_since else "Stripe was first read or heard"),
    ]  # fmt: skip


SECOND_FACTOR = {"admin": "required of admins", "all": "required of everybody", "none": "nobody has to have one"}


def _changed(label: str, endpoint: str, actions: tuple[str, ...]) -> Changed:
    entry = audit_log.last(db.session(), *actions)
    return Changed(label, url_for(endpoint), entry.actor if entry else None, entry.created_at if entry else None)


def _host(url: str | None) -> str | None:
    """The host of an address: its path and query may be secret."""
    return urlsplit(url).hostname if url else None


def _span(length: timedelta) -> str:
    for unit, noun in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if length % unit == timedelta(0):
            return formats.counted(length // unit, noun)
    return formats.counted(int(length.total_seconds()), "second")
