"""The rule behind each figure of margin and liability, as sentences that stand beside it."""

from __future__ import annotations

MARGIN = {
    "revenue": "Cash: charges less refunds and disputes by Stripe's balance transactions, when they moved. "
    "Recognised: paid credits at the price paid for them, without tax, when they were used, expired or were "
    "taken away, less the money that went back for them; and payments that bought no credits here, when they "
    "moved, with tax, not spread over their period.",
    "fees": "Stripe's fees on every transaction, account fees, and the tax on fees, when Stripe took them. "
    "The same on both bases.",
    "cost": "What the providers take for the generations charged in the range, as far as it is known.",
    "loss": "The cost of generations whose credits were refunded, when they were. It is part of the provider cost "
    "and not taken off twice.",
    "profit": "Revenue − Stripe fees − provider cost.",
    "margin": "Profit ÷ revenue; no figure without revenue.",
    "use": "A provider, a model or a tier has recognised revenue only: a pack of credits is not paid for one of "
    "them. Left is recognised revenue − provider cost, before Stripe's fees.",
    "days": "Days of the reporting time zone. Other currencies count at the newest rate that is not dated after "
    "the day of the amount; without a rate there is no sum.",
    "customers": "Cash is of payments that are linked to the customer, with tax. Who pays in advance is ahead on "
    "cash; who uses what was paid for earlier, on recognised revenue.",
}
LIABILITY = {
    "owed": "Unspent paid credits × the price paid for them, without tax. What nobody paid for is worth nothing.",
    "sold": "What was paid for credits, without tax, when they were credited.",
    "used": "Credits charged for generations, less those that refunds returned.",
    "expired": "Paid credits that expired unspent (breakage).",
    "clawed": "Credits taken because their money went back, less those restored.",
    "adjusted": "Paid credits that operators took.",
    "returned": "Money that went back, the credits' share of it.",
    "recognised": "Used + expired + taken back + taken by operators − money that went back. It is what was sold, "
    "less the money that went back, less the change of what is owed.",
}
