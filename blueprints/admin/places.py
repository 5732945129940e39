"""The console's places: the pages of the navigation, and those below them.

Here each says its words: what operators type who do not know what it is called. The navigation shows GROUPS; the
palette and the search find BELOW, too, and what is done on which page (`actions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app, url_for

from blueprints import access

PAGE, ACTION, ROWS = "page", "action", "list"


@dataclass(frozen=True)
class Entry:
    """One place of the console: where it is, its name, its symbol, and the key that `g` is followed by.

    `words` are further ones that it is found by. `kind` is ACTION for what is done there, ROWS for some rows of a
    list; `note` says where that is. `action` is what the role must allow besides opening the page; `arguments` and
    `anchor` complete the address.
    """

    endpoint: str
    label: str
    symbol: str
    key: str = ""
    words: str = ""
    kind: str = PAGE
    note: str = ""
    action: str = "view"
    arguments: Mapping[str, str] = field(default_factory=dict)
    anchor: str | None = None

    @property
    def address(self) -> str:
        """Where it is, for a link."""
        return url_for(self.endpoint, _anchor=self.anchor, **self.arguments)  # type: ignore[arg-type]


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry(
                "admin.dashboard",
                "Overview",
                "overview",
                "o",
                "dashboard home start health status alerts attention",
            ),
        ),
    ),
    (
        "Monitoring",
        (
            Entry("admin.monitoring_usage", "Usage", "usage", "u", "statistics volume calls per day model kind"),
            Entry("admin.monitoring_customers", "Top customers", "top", "t", "biggest most heavy users spenders"),
            Entry(
                "admin.monitoring_failures",
                "Failure rates",
                "failure",
                "e",
                "error success percent broken by class",
            ),
            Entry(
                "admin.monitoring_refunds", "Refund totals", "refund", "d", "refund rate statistics reason origin"
            ),
            Entry(
                "admin.monitoring_latency", "Latency", "latency", "l", "slow speed duration seconds p50 p95 p99"
            ),
        ),
    ),
    (
        "Work",
        (
            Entry(
                "admin.customers",
                "Customers",
                "customers",
                "c",
                "users accounts e-mail email balance credits tier",
            ),
            Entry(
                "admin.generations", "Generations", "generations", "j", "jobs images videos audio requests stuck"
            ),
            Entry("admin.failures", "Failures", "failure", "f", "errors failed timeout failure log"),
            Entry(
                "admin.refunds",
                "Refunds",
                "refund",
                "r",
                "refund history refunded credits back returned reversals",
            ),
            Entry("admin.bulk_refunds", "Bulk refunds", "bulk", "b", "incident mass many outage"),
            Entry(
                "admin.approvals", "Approvals", "approval", "a", "requests waiting second operator approve reject"
            ),
            Entry(
                "admin.callbacks", "Callbacks", "callback", "k", "webhook deliveries providers notification late"
            ),
            Entry("admin.notifications", "Notifications", "submit", "n", "webhook platform outgoing undelivered"),
        ),
    ),
    (
        "Money",
        (
            Entry("admin.revenue", "Revenue", "revenue", "m", "income sales turnover stripe fees payments"),
            Entry(
                "admin.purchases", "Purchases", "charge", words="payments checkout sold bought dispute chargeback"
            ),
            Entry("admin.margin", "Margin", "cost", "x", "profit loss cost earnings"),
            Entry("admin.liability", "Credit liability", "late", words="unspent owed deferred expiry breakage"),
            Entry("admin.subscriptions", "Subscriptions", "repeat", words="mrr churn recurring plans arpu"),
            Entry("admin.prices", "Prices", "price", "p", "price book costs per generation rates tariff"),
            Entry(
                "admin.bills",
                "Bills",
                "bill",
                "i",
                "bill check invoice reconcile reconciliation provider statement",
            ),
            Entry("admin.policies", "Refund policy", "policy", "y", "shares percentage rules error class"),
            Entry("admin.limits", "Limits", "limit", words="maximum allowed per day cap step-up permission"),
        ),
    ),
    (
        "Administration",
        (
            Entry("admin.providers", "Providers", "provider", "v", "vendors models health balance"),
            Entry("admin.stripe", "Stripe", "refresh", words="sync synchronise webhook connection reading"),
            Entry(
                "admin.operators", "Operators", "operators", "w", "users team staff roles permissions sessions 2fa"
            ),
            Entry("admin.api_keys", "API keys", "key", words="token secret credentials"),
            Entry("admin.audit", "Audit log", "audit", "h", "history changes who did activity trail"),
            Entry(
                "admin.settings", "Settings", "settings", "s", "configuration environment timezone zone throttles"
            ),
        ),
    ),
)
BELOW: tuple[Entry, ...] = (
    Entry(
        "admin.unmapped_errors", "Unknown errors", "policy", words="unmapped messages map mapping meaning class"
    ),
    Entry(
        "admin.margin_customers",
        "Margin by customer",
        "cost",
        words="profit loss loses losing money unprofitable payers never paid cost more than they pay",
    ),
    Entry("admin.balance_transactions", "Balance transactions", "revenue", words="stripe fees payouts charges"),
    Entry("admin.exchange_rates", "Exchange rates", "revenue", words="currency conversion euro dollar fx"),
    Entry(
        "admin.unlinked", "Purchases to link", "charge", words="unlinked payments nobody unknown customer stripe"
    ),
    Entry("admin.purchase_check", "Payment check", "charge", words="missing uncredited without credits compare"),
    Entry("admin.subscription_list", "All subscriptions", "repeat", words="subscribers past due cancelled paused"),
    Entry("admin.mrr_movements", "MRR movements", "repeat", words="new expansion contraction churn reactivation"),
    Entry("admin.stripe_events", "Stripe events", "refresh", words="webhooks failed evt dispute chargeback"),
    Entry("admin.credit_prices", "Credit prices", "price", words="credits per model customers pay charge"),
    Entry(
        "admin.account", "Your account", "user", words="profile password sessions timezone preferences 2fa logins"
    ),
)
"""Pages that are no entry of the navigation."""


def open_to_operator(entry: Entry) -> bool:
    """Whether the page is there, and the operator of this request may open it and do what it is for."""
    if entry.endpoint == "admin.notifications" and not current_app.config["SETTINGS"].terms.notify:
        return False
    view = current_app.view_functions.get(entry.endpoint)
    needed = getattr(view, "required_action", "view")
    return view is not None and access.may(needed) and access.may(entry.action)
