"""What the simulated Stripe's API answers: lists, single objects, and what is wrong with a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from simulator.stripe.account import DAY, Store
from simulator.stripe.objects import Object
from simulator.stripe.rendering import CannotExpand, paths_of_a_list, shown

EVENTS_KEPT = 30 * DAY
MOST_TYPES = 20
PATHS = {"checkout/sessions": "checkout_sessions"}
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": lambda a, b: a == b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
FILTERS: dict[str, tuple[str, ...]] = {
    "balance_transactions": ("currency", "source", "type"),
    "charges": ("customer", "payment_intent"),
    "checkout_sessions": ("customer", "payment_intent", "status", "subscription"),
    "coupons": (),
    "customers": ("email",),
    "disputes": ("charge", "payment_intent"),
    "events": (),
    "invoice_payments": ("invoice", "status"),
    "invoices": ("customer", "status"),
    "payment_intents": ("customer",),
    "payment_methods": ("customer", "type"),
    "payouts": ("status",),
    "prices": ("active", "currency", "product", "type"),
    "products": ("active",),
    "refunds": ("charge", "payment_intent"),
    "subscriptions": ("customer",),
}
"""What each list can be filtered by, beside the moment of creation."""

Query = Sequence[tuple[str, str]]


class Refused(Exception):
    """A request that Stripe answers with an error: `status` and the error object."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": "invalid_request_error", **more}


def answer(account: Store, path: str, query: Query) -> Object:
    """What GET answers. Raises Refused."""
    expand = [value for name, value in query if re.fullmatch(r"expand\[\d*\]", name)]
    asked = [(name, value) for name, value in query if not name.startswith("expand[")]
    with account.lock:
        try:
            return _answer(account, path.removeprefix("/v1/").strip("/"), asked, expand)
        except CannotExpand as error:
            raise Refused(400, str(error)) from None


def _answer(account: Store, path: str, query: Query, expand: list[str]) -> Object:
    if path == "account":
        return {"id": "acct_simulated", "object": "account", "default_currency": "usd", "country": "US"}
    for prefix, resource in [*PATHS.items(), *((name, name) for name in FILTERS)]:
        if path == prefix:
            _permit(account, resource)
            return _list(account, resource, path, query, expand)
        if path.startswith(f"{prefix}/"):
            _permit(account, resource)
            return _single(account, resource, path, path.removeprefix(f"{prefix}/"), query, expand)
    if path == "subscription_items":
        _permit(account, "subscriptions")
        subscription = _find(account, "subscriptions", dict(query).get("subscription", ""))
        rest = [pair for pair in query if pair[0] != "subscription"]
        return _page(account, subscription["items"], path, rest, expand)
    raise Refused(404, f"Unrecognized request URL (GET: /v1/{path}).")


def _single(account: Store, resource: str, path: str, name: str, query: Query, expand: list[str]) -> Object:
    key, _, part = name.partition("/")
    found = _find(account, resource, key)
    if not part:
        return shown(account, found, expand)
    if (resource, part) in (("invoices", "lines"), ("checkout_sessions", "line_items")):
        return _page(account, found[part], path, query, expand)
    if (resource, part) == ("customers", "payment_methods"):
        return _list(account, "payment_methods", path, [*query, ("customer", key)], expand)
    raise Refused(404, f"Unrecognized request URL (GET: /v1/{path}).")


def _find(account: Store, resource: str, key: str) -> Object:
    found = account.lists[resource].by_id.get(key)
    if found is None:
        raise Refused(404, f"No such {resource[:-1]}: '{key}'", code="resource_missing", param="id")
    return found


def _permit(account: Store, resource: str) -> None:
    if resource in account.denied:
        permission = f"rak_{resource.removesuffix('s')}_read"
        raise Refused(
            403,
            "The provided key 'rk_test_*********' does not have the required permissions for this endpoint. "
            f"Having the '{permission}' permission would allow this request to continue.",
        )


def _list(account: Store, resource: str, path: str, query: Query, expand: list[str]) -> Object:
    paging, tests = [], []
    names = [name for name, _ in query]
    for name, value in query:
        if name in ("limit", "starting_after", "ending_before"):
            paging.append((name, value))
        elif match := re.fullmatch(r"created(?:\[(gte?|lte?)\])?", name):
            tests.append(_compared(COMPARISONS[match[1] or ""], value))
        elif name in FILTERS[resource]:
            tests.append(_equal(name, value))
        elif (test := _special(account, resource, name, value)) is not None:
            tests.append(test)
        else:
            raise Refused(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    if resource == "events":
        types = {value for name, value in query if name.startswith("types[")}
        if len(types) > MOST_TYPES:
            raise Refused(400, f"You can only filter by {MOST_TYPES} types.", param="types")
        tests.append(lambda one: one["created"] > account.now - EVENTS_KEPT)
        tests.append(lambda one: not types or one["type"] in types)
    if resource == "subscriptions" and "status" not in names:
        tests.append(lambda one: one["status"] != "canceled")
    found = (one for one in account.lists[resource].newest_first() if all(test(one) for test in tests))
    return _page(account, found, path, paging, expand)


def _special(account: Store, resource: str, name: str, value: str) -> Callable[[Object], bool] | None:
    """The filters of a single list."""
    if resource == "subscriptions" and name == "status":
        return lambda one: value == "all" or one["status"] == value
    if resource == "subscriptions" and name == "price":
        return lambda one: any(item["price"] == value for item in one["items"])
    if resource == "invoices" and name == "subscription":
        return lambda one: bool(one["parent"]) and one["parent"]["subscription_details"]["subscription"] == value
    if resource == "invoice_payments" and name == "payment[payment_intent]":
        return lambda one: bool(one["payment"]["payment_intent"] == value)
    if (resource, name) in (("invoice_payments", "payment[type]"), ("prices", "recurring[interval]")):
        return lambda one: True
    if resource == "payouts" and (match := re.fullmatch(r"arrival_date(?:\[(gte?|lte?)\])?", name)):
        return _compared(COMPARISONS[match[1] or ""], value, "arrival_date")
    if resource == "events" and name == "type":
        return lambda one: bool(one["type"] == value)
    if resource == "events" and name.startswith("types["):
        return lambda one: True
    if resource == "events" and name == "delivery_success":
        return lambda one: (one["id"] not in account.undelivered) is (value == "true")
    return None


def _equal(name: str, value: str) -> Callable[[Object], bool]:
    wanted: Any = {"true": True, "false": False}.get(value, value)
    return lambda one: bool(one[name] == wanted)


def _compared(holds: Callable[[int, int], bool], value: str, name: str = "created") -> Callable[[Object], bool]:
    if not re.fullmatch("[0-9]{1,12}", value):
        raise Refused(400, f"Invalid integer: {value}", param=name)
    moment = int(value)
    return lambda one: holds(one[name], moment)


def _page(account: Store, found: Iterable[Object], path: str, query: Query, expand: list[str]) -> Object:
    """One page. A limit over 100 is an error and not a clamp."""
    asked = dict(query)
    limit = asked.pop("limit", "10")
    if not re.fullmatch("[0-9]{1,6}", limit) or not 1 <= int(limit) <= 100:
        raise Refused(400, f"Invalid limit: {limit}. It must be between 1 and 100.", param="limit")
    after = asked.pop("starting_after", None)
    if asked:
        raise Refused(400, f"Received unknown parameter: {next(iter(asked))}", code="parameter_unknown")
    objects = iter(found)
    if after is not None:
        objects = _after(objects, after)
    page = list(islice(objects, int(limit) + 1))
    paths = paths_of_a_list(expand)
    data = [shown(account, one, paths) for one in page[: int(limit)]]
    return {"object": "list", "data": data, "has_more": len(page) > int(limit), "url": f"/v1/{path}"}


def _after(objects: Iterator[Object], key: str) -> Iterator[Object]:
    """What comes after an object. One that is no longer in the list is an error: begin again, or from its time."""
    for one in objects:
        if one["id"] == key:
            return objects
    raise Refused(400, f"No such object: '{key}'", code="resource_missing", param="starting_after")
