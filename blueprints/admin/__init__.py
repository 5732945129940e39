"""The console. Its `before_request` is the only place that checks for an operator.

Each module beside this one adds routes to `blueprint`. A route that changes things names its permission with
`@requires(...)`; a route that a page calls by itself is marked with `@poll`.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from blueprints import access

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.before_app_request
def check_operator() -> Response | None:
    """Turn strangers away from everything under /admin, from paths that do not exist too."""
    if blueprint.name in request.blueprints or request.path == "/admin" or request.path.startswith("/admin/"):
        return access.admit_operator()
    return None


from blueprints.admin import (  # noqa: E402 (they add their routes to the blueprint above)
    account,
    adjustments,
    alerts,
    api_keys,
    approvals,
    audit,
    balance_transactions,
    bills,
    bills_accept,
    bills_check,
    bills_upload,
    bulk_refunds,
    bulk_refunds_new,
    callbacks,
    comparisons,
    confirm,
    customers,
    dashboard,
    exchange_rates,
    exports,
    failures,
    generation_list,
    generations,
    invitations,
    limits,
    monitoring_customers,
    monitoring_failures,
    monitoring_latency,
    monitoring_refunds,
    monitoring_usage,
    newer,
    notifications,
    nudges,
    operators,
    outputs,
    policies,
    prices,
    prices_credits,
    prices_forms,
    prices_import,
    prices_recompute,
    providers,
    refund_form,
    refunds,
    revenue,
    reversals,
    saved_views,
    search,
    second_factor,
    settings_page,
    stripe,
    stripe_events,
    subscription_list,
    subscriptions,
    switches,
    theme,
    unmapped_errors,
)

__all__ = [
    "account",
    "adjustments",
    "alerts",
    "api_keys",
    "approvals",
    "audit",
    "balance_transactions",
    "bills",
    "bills_accept",
    "bills_check",
    "bills_upload",
    "blueprint",
    "bulk_refunds",
    "bulk_refunds_new",
    "callbacks",
    "comparisons",
    "confirm",
    "customers",
    "dashboard",
    "exchange_rates",
    "exports",
    "failures",
    "generation_list",
    "generations",
    "invitations",
    "limits",
    "monitoring_customers",
    "monitoring_failures",
    "monitoring_latency",
    "monitoring_refunds",
    "monitoring_usage",
    "newer",
    "notifications",
    "nudges",
    "operators",
    "outputs",
    "policies",
    "prices",
    "prices_credits",
    "prices_forms",
    "prices_import",
    "prices_recompute",
    "providers",
    "refund_form",
    "refunds",
    "revenue",
    "reversals",
    "saved_views",
    "search",
    "second_factor",
    "settings_page",
    "stripe",
    "stripe_events",
    "subscription_list",
    "subscriptions",
    "switches",
    "theme",
    "unmapped_errors",
]
