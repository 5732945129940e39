"""What operators do on which page: found by the palette and the search beside the pages themselves (`places`)."""

from __future__ import annotations

from blueprints.admin.places import ACTION, ROWS, Entry


def _do(label: str, endpoint: str, symbol: str, words: str, note: str = "", **more: object) -> Entry:
    given = {"kind": ACTION, "words": words, "note": note} | more
    return Entry(endpoint, label, symbol, **given)  # type: ignore[arg-type]


ACTIONS: tuple[Entry, ...] = (
    _do(
        "Adjust a customer’s credits",
        "admin.customers",
        "customers",
        "give take add remove bonus goodwill adjustment compensate",
        "On the customer’s page",
        action="adjust_credits",
    ),
    _do(
        "Refund a generation",
        "admin.generations",
        "refund",
        "credits back make good",
        "On its page",
        action="refund",
    ),
    _do(
        "Reverse a refund",
        "admin.refunds",
        "refund",
        "take back undo mistake reversal",
        "On the generation’s page, to which the list leads",
        action="reverse_refund",
    ),
    _do(
        "Write a note", "admin.customers", "note", "comment remark", "On the customer’s page", action="write_note"
    ),
    _do("Refund an incident", "admin.new_bulk_refund", "bulk", "bulk mass many outage several all"),
    _do(
        "Customers who owe credits",
        "admin.customers",
        "customers",
        "owes owing owed money debt debtors negative balance chargeback dispute",
        kind=ROWS,
        arguments={"balance": "owes"},
    ),
    _do(
        "Requests waiting for a second operator",
        "admin.approvals",
        "approval",
        "refunds approve approval pending",
        kind=ROWS,
        arguments={"state": "pending"},
    ),
    _do(
        "Failed generations that were not refunded",
        "admin.generations",
        "failure",
        "unrefunded missing lost credits gone",
        kind=ROWS,
        arguments={"status": "failed", "refunded": "no"},
    ),
    _do(
        "Switch a provider off",
        "admin.providers",
        "power",
        "on disable enable stop pause outage maintenance model",
        "On the provider’s page",
        action="switch_provider",
    ),
    _do("Import a bill", "admin.bills", "bill", "upload csv invoice reconcile", action="check_bills"),
    _do("Add a price", "admin.add_price_form", "price", "cost model tariff"),
    _do("Import prices", "admin.import_form", "price", "upload csv sheet costs"),
    _do("Recompute costs", "admin.recompute_costs", "price", "calculate again correct wrong unknown cost"),
    _do("Add an exchange rate", "admin.exchange_rate_form", "revenue", "currency fx euro"),
    _do("Import exchange rates", "admin.import_rates_form", "revenue", "currency csv ecb fx"),
    _do("Change the refund policy", "admin.policy_form", "policy", "shares percentage edit rules"),
    _do("Change the limits", "admin.limits_form", "limit", "raise lower maximum edit cap"),
    _do(
        "Link a payment to a customer", "admin.unlinked", "charge", "assign stripe unlinked", action="link_stripe"
    ),
    _do("Read Stripe again", "admin.read_stripe_again_form", "refresh", "sync resync synchronise refetch"),
    _do("Invite an operator", "admin.invite_form", "operators", "add user team member colleague role"),
    _do("Make an API key", "admin.api_key_form", "key", "create token rotate secret"),
    _do("Set up a second factor", "admin.second_factor", "lock", "2fa mfa totp authenticator phone code security"),
    _do("Change your password", "admin.account", "lock", "passwd reset login", anchor="password-title"),
    _do("End your other sessions", "admin.account", "logout", "revoke devices log out", anchor="sessions-title"),
)
