"""What a paid checkout session or invoice bought: credits by the metadata of its products, and what they cost.

A product's metadata says how many credits one of it is: `credits`, a whole number; 0 says that it sells none. With
`credits_expire` = `period_end` the credits of an invoice last until the end of the period that its line pays for,
otherwise they never expire. Where one invoice has both kinds, none of its credits expire. A line that corrects
another (a proration) grants nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from makegood.grants import MAX_CREDITS
from makegood.models import CheckoutSession, Invoice, Product

WHOLE = re.compile(r"[0-9]{1,10}")

# A product without a digit from 1 to 9 in its `credits` sells none.
_LINES = """(
    jsonb_typeof({listed}) IS DISTINCT FROM 'object'
    OR coalesce({listed} ->> 'has_more', 'false') <> 'false'
    OR EXISTS (
        SELECT FROM jsonb_array_elements(CASE jsonb_typeof({listed} -> 'data')
                                              WHEN 'array' THEN {listed} -> 'data' ELSE '[]' END) AS line
         CROSS JOIN LATERAL (SELECT coalesce({product})) AS sold (product_id)
         WHERE sold.product_id IS NOT NULL
           AND CASE WHEN :some THEN sold.product_id = ANY(:products)
                    ELSE NOT EXISTS (SELECT FROM stripe_products p
                                      WHERE p.id = sold.product_id
                                        AND coalesce(p.body #>> '{{metadata,credits}}', '') !~ '[1-9]') END))"""
PRODUCT_OF_PRICE = "line #>> '{price,product,id}', line #>> '{price,product}'"
"""Where a line of a checkout session says its product: the first of these that is there."""
PRODUCT_OF_LINE = (
    "line #>> '{pricing,price_details,product,id}', line #>> '{pricing,price_details,product}', "
    + PRODUCT_OF_PRICE
)
"""The same of an invoice's line."""
LINES_OF_SESSION = _LINES.format(listed="stripe_checkout_sessions.body -> 'line_items'", product=PRODUCT_OF_PRICE)
"""Whether a checkout session may have bought credits: a line is of a product that sells some, or of one of
`products` (if `some`), or the lines were not read."""
LINES_OF_INVOICE = _LINES.format(listed="stripe_invoices.body -> 'lines'", product=PRODUCT_OF_LINE)
"""The same of an invoice."""


@dataclass(frozen=True)
class Bought:
    """The credits of a purchase, and what was paid for them, without tax, in the minor unit of its currency.

    `paid` is what was paid for everything, `ends` when the credits expire (None: never). `problem` says why nobody
    can tell yet; then the rest means nothing.
    """

    credits: int
    amount: int
    paid: int
    ends: datetime | None
    problem: str | None = None


@dataclass(frozen=True)
class Line:
    """One line: what was bought how often, for which amount without tax, until when."""

    product_id: str | None
    quantity: int
    amount: int
    ends: datetime | None


def of_session(session: CheckoutSession, products: Mapping[str, Product]) -> Bought:
    """What a paid checkout session bought. Nothing of it expires."""
    listed = session.body.get("line_items")
    if not isinstance(listed, Mapping) or listed.get("has_more"):
        return _unknown("its line items have not been read")
    lines = (
        Line(
            _product_of_price(line),
            line.get("quantity") or 0,
            (line.get("amount_total") or 0) - (line.get("amount_tax") or 0),
            None,
        )
        for line in listed["data"]
    )
    return _sum(lines, products, session.amount_total or 0)


def of_invoice(invoice: Invoice, products: Mapping[str, Product]) -> Bought:
    """What a paid invoice bought. What came out of the customer's balance with Stripe is not part of the price."""
    listed = invoice.body.get("lines")
    if not isinstance(listed, Mapping) or listed.get("has_more"):
        return _unknown("its lines have not been read")
    lines = (
        Line(_product_of_line(line), line.get("quantity") or 0, _net(line), _period_end(line))
        for line in listed["data"]
        if not is_proration(line)
    )
    bought = _sum(lines, products, invoice.amount_paid)
    if bought.problem is None and 0 < invoice.amount_paid < invoice.total:
        share = (2 * bought.amount * invoice.amount_paid + invoice.total) // (2 * invoice.total)
        return Bought(bought.credits, share, bought.paid, bought.ends)
    return bought


def credits_of(product: Product) -> int | None:
    """How many credits one of this product is; None if its metadata does not say so in a way that we can read."""
    text = str((product.body.get("metadata") or {}).get("credits", ""))
    if not WHOLE.fullmatch(text) or int(text) > MAX_CREDITS:
        return None
    return int(text)


def product_ids(body: Mapping[str, Any]) -> set[str]:
    """The products that a checkout session or invoice has lines of."""
    sessions, invoices = body.get("line_items") or {}, body.get("lines") or {}
    found = {_product_of_price(line) for line in sessions.get("data", ())}
    found |= {_product_of_line(line) for line in invoices.get("data", ())}
    return {one for one in found if one}


def is_proration(line: Mapping[str, Any]) -> bool:
    """Whether an invoice's line only corrects what another one said."""
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration") or line.get("proration"))


def _sum(lines: Iterable[Line], products: Mapping[str, Product], paid: int) -> Bought:
    credits, amount, ends, never = 0, 0, [], False
    for line, product in _sold(lines, products):
        if isinstance(product, str):
            return _unknown(f"the product {product} has not been read")
        each = credits_of(product)
        if not each or not line.quantity:
            continue
        credits += each * line.quantity
        amount += line.amount
        expire = (product.body.get("metadata") or {}).get("credits_expire")
        never |= expire != "period_end" or line.ends is None
        ends.append(line.ends)
    if credits > MAX_CREDITS:
        return _unknown(f"{credits} credits are more than one purchase can have")
    last = None if never else max((one for one in ends if one), default=None)
    return Bought(credits, max(amount, 0), paid, last)


def _sold(lines: Iterable[Line], products: Mapping[str, Product]) -> Iterator[tuple[Line, Product | str]]:
    for line in lines:
        if line.product_id:
            yield line, products.get(line.product_id, line.product_id)


def _unknown(problem: str) -> Bought:
    return Bought(0, 0, 0, None, problem)


def _net(line: Mapping[str, Any]) -> int:
    """A line's amount after discounts and without the tax that it includes."""
    off = sum(one["amount"] for one in line.get("discount_amounts") or ())
    included = sum(one["amount"] for one in line.get("taxes") or () if one.get("tax_behavior") == "inclusive")
    return int(line["amount"] - off - included)


def _period_end(line: Mapping[str, Any]) -> datetime | None:
    end = (line.get("period") or {}).get("end")
    return None if end is None else datetime.fromtimestamp(end, UTC)


def _product_of_price(line: Mapping[str, Any]) -> str | None:
    return _id((line.get("price") or {}).get("product"))


def _product_of_line(line: Mapping[str, Any]) -> str | None:
    priced = (line.get("pricing") or {}).get("price_details") or {}
    return _id(priced.get("product")) or _product_of_price(line)


def _id(value: Any) -> str | None:
    return value.get("id") if isinstance(value, Mapping) else value
