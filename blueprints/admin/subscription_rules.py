"""What the page of subscriptions says beside its figures: the rule of each, and how certain they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy.orm import Session

from blueprints import formats
from makegood import money
from makegood.models import StripeResource
from makegood.ranges import Range
from makegood.revenue.churn import Churn
from makegood.revenue.movements import decimal
from makegood.revenue.mrr_rules import MrrRules
from makegood.revenue.results import Result
from makegood.revenue.snapshots import SOURCE
from makegood.revenue.subscribers import Report, Subscribed
from makegood.stats.figures import FEW, Rate
from settings import Settings

OVERDUE = timedelta(hours=2)
MRR = (
    "What subscriptions bill by month: active ones and those past due, without trials, metered prices and taxes; "
    "a year is twelve months and 365 days. "
)


@dataclass(frozen=True)
class State:
    """How certain the figures are. `name` is none (Stripe is not set up), waiting, reading, no_permission, failed,
    late or good."""

    name: str
    resource: StripeResource | None = None


@dataclass(frozen=True)
class Figure:
    """A figure as the table shows it, with its rule, and where its rows are: an endpoint and filters."""

    label: str
    value: str
    rule: str
    endpoint: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    ranged: bool = True


def state(session: Session, settings: Settings, report: Report, span: Range) -> State:
    """How far the subscriptions at Stripe have been read."""
    resource = session.get(StripeResource, SOURCE)
    if resource is None:
        return State("waiting" if settings.stripe.api_key else "none")
    if resource.state in ("no_permission", "failed"):
        return State(resource.state, resource)
    if resource.finished_at is None:
        return State("reading", resource)
    snapshot = report.snapshot
    current = snapshot is not None and span.partial and not snapshot.estimated
    if current and (resource.read_at is None or resource.read_at < span.now - OVERDUE):
        return State("late", resource)
    return State("good", resource)


def figures(report: Report, shown: Subscribed, rules: MrrRules, result: Result) -> list[Figure]:
    """Every figure with its rule, for the currency that is shown. `result` is that of the range."""
    currency = (("currency", shown.currency),)

    def amount(exact: Fraction | None) -> str:
        return "–" if exact is None else money.format(money.rounded(exact), shown.currency)

    moved = shown.moved
    monthly = _churn(report.monthly)
    start = shown.before.mrr if shown.before else Fraction(0)
    lost = -(moved["churn"] + moved["contraction"])
    kept = lost - moved["expansion"] - moved["reactivation"]
    trials = report.trials
    margin, basis = result.recognised_margin, "recognised"
    if margin is None:
        margin, basis = result.margin, "cash"
    return [
        Figure("MRR", amount(shown.now.mrr), MRR + rules.words(), "admin.subscription_list",
               (*currency, ("counted", "yes")), ranged=False),
        Figure("ARR", amount(12 * shown.now.mrr), "Twelve times MRR."),
        Figure("Active subscribers", formats.number(shown.now.subscribers),
               "Customers of Stripe with MRR above zero; one with several subscriptions counts once.",
               "admin.subscription_list", (*currency, ("counted", "yes")), ranged=False),
        Figure("ARPU", amount(shown.arpu), "MRR by active subscriber."),
        Figure("Revenue per paying customer", amount(shown.per_payer),
               f"All payments in the range, packs included, less refunds: {amount(Fraction(shown.paid))} by "
               f"{formats.counted(shown.payers, 'customer')}. In the currency that they paid."),
        Figure("Churn rate, all currencies", _rated(_churn(report.churn)),
               "Customers who paid at the start or began since then, and pay nothing at the end: Stripe's churn "
               f"rate, over this range. {_of_churn(report)}", "admin.mrr_movements", (("kind", "churn"),)),
        Figure("MRR churn, gross", _percent(_rate(lost, start)),
               "Churn and contraction by MRR at the start.", "admin.mrr_movements", currency),
        Figure("MRR churn, net", _percent(_rate(kept, start)),
               "Churn and contraction less expansion and reactivation, by MRR at the start.",
               "admin.mrr_movements", currency),
        Figure("Quick ratio", "–" if moved.quick_ratio is None else f"{moved.quick_ratio:.2f}",
               "New, reactivation and expansion by contraction and churn; 4 is good. None without losses.",
               "admin.mrr_movements", currency),
        Figure("Trial conversion, all currencies",
               _rated(Rate(trials.converted, trials.ended) if trials else Rate(0, 0)), _of_trials(report)),
        Figure("Lifetime value", amount(shown.ltv(margin, monthly.shown)),
               f"ARPU times the margin of the range ({basis}, {_percent(margin)}) by the churn of the last "
               f"30 days ({_rated(monthly)}). None while nobody leaves, of fewer than {FEW}, or without a "
               "margin.", "admin.margin"),
    ]  # fmt: skip


def _of_churn(report: Report) -> str:
    if report.churn is None:
        return "Not known: there is no snapshot from before the range."
    found = report.churn
    return f"{found.left} of {found.active} at the start and {found.joined} who began."


def _of_trials(report: Report) -> str:
    rule = "Trials that ended in the range and were then paid for, by all that ended."
    if report.trials is None:
        return f"{rule} Not known until the invoices have been read."
    undecided = f", {report.trials.undecided} not decided yet" if report.trials.undecided else ""
    return f"{rule} {report.trials.converted} of {report.trials.ended}{undecided}."


def _churn(churn: Churn | None) -> Rate:
    return Rate(churn.left, churn.active + churn.joined) if churn else Rate(0, 0)


def _rated(rate: Rate) -> str:
    return formats.percent(rate) if rate.whole else "–"


def _rate(part: Fraction, whole: Fraction) -> Decimal | None:
    return decimal(part / whole) if whole else None


def _percent(rate: Decimal | None) -> str:
    if rate is None:
        return "–"
    return formats.percent(rate) if rate >= 0 else f"{formats.MINUS}{formats.percent(-rate)}"
