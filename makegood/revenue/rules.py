"""The rule behind each figure, as a sentence that stands beside it."""

from __future__ import annotations

RULES = {
    "gross": "Charges by the time of their balance transaction, with sales tax, before anything is taken off. "
    "Reporting categories charge, charge_failure and partial_capture_reversal.",
    "refunds": "Money that went back to customers, less refunds that failed (refund, refund_failure).",
    "disputes": "Withdrawn by banks for disputes, less what came back when they were won "
    "(dispute, dispute_reversal). Inquiries move no money.",
    "fees": "The fee on every balance transaction. Stripe keeps a charge's fee when it is refunded.",
    "account_fees": "What Stripe bills the account apart from transactions, such as Billing and Radar "
    "(fee, network_cost).",
    "tax_on_fees": "Tax on Stripe's own fees (tax).",
    "net": "Gross − refunds − disputes − Stripe fees − account fees − tax on fees.",
    "other": "Reporting categories that are not known here. They are in no other figure.",
    "moved": "Payouts, top-ups, transfers, reserves, financing and the like: money that changed its place. "
    "They are in no other figure.",
    "range": "By when each balance transaction was created, in the time zone of the range; half open.",
    "currencies": "In the currency that Stripe settles in, as converted by Stripe. Currencies are added together "
    "only in US dollars, each day's amounts at the newest rate that is not dated after that day.",
}
