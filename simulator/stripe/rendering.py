"""Objects as Stripe's API shows them: embedded lists cut at ten, hidden fields left out, references expanded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simulator.stripe.objects import Object

if TYPE_CHECKING:
    from simulator.stripe.account import Store

EMBEDDED = 10
MOST_LEVELS = 4
HIDDEN = {
    "checkout.session": ("line_items",),
    "coupon": ("applies_to", "currency_options"),
    "price": ("currency_options", "tiers"),
}
"""What is kept on the object and shown only when a request expands it."""


class CannotExpand(Exception):
    """A property that there is none of, or that lies too deep; the message says which."""


def shown(store: Store, value: Object, expand: Sequence[str] = ()) -> Object:
    """An object as an answer shows it, with the properties expanded that the request names ("discounts",
    "items.data.price" ...). Raises CannotExpand."""
    if value.get("deleted"):
        return {"id": value["id"], "object": value["object"], "deleted": True}
    hidden = HIDDEN.get(value["object"], ())
    plain = {name: field for name, field in value.items() if name not in hidden}
    if value["object"] == "subscription":
        plain["items"] = embedded(store, value["items"], f"/v1/subscription_items?subscription={value['id']}")
    if value["object"] in ("subscription_item", "item") and isinstance(value["price"], str):
        plain["price"] = shown(store, store.get(value["price"]))
    if value["object"] == "invoice":
        plain["lines"] = embedded(store, value["lines"], f"/v1/invoices/{value['id']}/lines")
    for path in expand:
        _expand(store, value, plain, path.split("."), path)
    return plain


def embedded(store: Store, values: Sequence[Object], url: str) -> Object:
    """A list inside an object: its first ten, whether there are more, and where."""
    first = [shown(store, one) for one in values[:EMBEDDED]]
    return {"object": "list", "data": first, "has_more": len(values) > EMBEDDED, "url": url}


def paths_of_a_list(expand: Sequence[str]) -> list[str]:
    """What a list's request expands in each of its objects. Raises CannotExpand."""
    for path in expand:
        if not path.startswith("data."):
            raise CannotExpand(f"This property cannot be expanded ({path}).")
        _check_depth(path)
    return [path.removeprefix("data.") for path in expand]


def _check_depth(path: str) -> None:
    if len(path.split(".")) > MOST_LEVELS:
        raise CannotExpand(f"You cannot expand more than {MOST_LEVELS} levels of a property. Property: {path}")


def _expand(store: Store, value: Object, plain: Any, names: Sequence[str], path: str) -> None:
    """Expand one path in what is shown of an object."""
    _check_depth(path)
    name, rest = names[0], ".".join(names[1:])
    if plain.get("object") == "list":
        for one in plain["data"]:
            _expand(store, one, one, names[1:], path)
        return
    if (make := MADE.get((value.get("object", ""), name))) is not None:
        plain[name] = make(store, value)
    if name not in plain:
        raise CannotExpand(f"This property cannot be expanded ({name}).")
    held = plain[name]
    if isinstance(held, str):
        plain[name] = shown(store, store.get(held), [rest] if rest else [])
    elif isinstance(held, list) and all(isinstance(one, str) for one in held):
        plain[name] = [shown(store, store.get(one), [rest] if rest else []) for one in held]
    elif isinstance(held, dict) and rest:
        plain[name] = dict(held)
        _expand(store, plain[name], plain[name], names[1:], path)


def _kept(name: str) -> Callable[[Store, Object], Any]:
    return lambda store, value: value.get(name)


def _line_items(store: Store, value: Object) -> Any:
    return embedded(store, value["line_items"], f"/v1/checkout/sessions/{value['id']}/line_items")


def _payments(store: Store, value: Object) -> Any:
    of_it = [one for one in store.all("invoice_payments") if one["invoice"] == value["id"]]
    return embedded(store, of_it, f"/v1/invoice_payments?invoice={value['id']}")


def _refunds(store: Store, value: Object) -> Any:
    of_it = [one for one in store.all("refunds") if one["charge"] == value["id"]]
    return embedded(store, of_it, f"/v1/charges/{value['id']}/refunds")


MADE: dict[tuple[str, str], Callable[[Store, Object], Any]] = {
    ("coupon", "applies_to"): _kept("applies_to"),
    ("coupon", "currency_options"): _kept("currency_options"),
    ("price", "currency_options"): _kept("currency_options"),
    ("price", "tiers"): _kept("tiers"),
    ("checkout.session", "line_items"): _line_items,
    ("invoice", "payments"): _payments,
    ("charge", "refunds"): _refunds,
}
