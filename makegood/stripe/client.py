"""Asking Stripe, read-only: pages, single objects, events. Nothing of Stripe's library leaves this module.

Retries are our own: the library never repeats a request that was answered with 429. Objects are JSON as received,
their embedded lists complete. An answer says when its request was begun: what it holds is at least as new.
Source of the limits and errors: docs.stripe.com/rate-limits, docs.stripe.com/error-handling.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import stripe

from makegood.stripe.resources import EMBEDDED_EXPAND, RESOURCE_OF, RESOURCES, Resource

CONNECT_SECONDS = 5
READ_SECONDS = 30
READ_SECONDS_FOR_PEOPLE = 8
SECONDS_FOR_PEOPLE = 12.0
"""So long may everything take that somebody waits for: a request that is begun by then is finished."""
ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0
API_VERSION = str(stripe.api_version)
"""The shapes that Stripe answers in, and that its webhook endpoint should be set to."""
PAGE = 100
"""The most objects that Stripe puts on a page; asking for more is an error."""


# The library writes a line for each request and each answer.
logging.getLogger("stripe").setLevel(logging.WARNING)


class StripeProblem(Exception):
    """Stripe did not answer what was asked. The message is a sentence, without secrets."""


class NotPermitted(StripeProblem):
    """The key may not read this."""


class Rejected(StripeProblem):
    """Stripe does not accept the key at all."""


class Unreachable(StripeProblem):
    """Stripe could not be asked now, also after retries. Ask again later."""


class Refused(StripeProblem):
    """Stripe calls the question itself wrong. Asking again is of no use."""


class CursorGone(Refused):
    """The object after which a page should begin does not exist any more."""


class _Gone(Refused):
    """What was asked for does not exist."""


@dataclass(frozen=True)
class Listing:
    """A page of a list, newest first; `read_at` is when it was asked for."""

    objects: list[dict[str, Any]]
    has_more: bool
    read_at: datetime


@dataclass(frozen=True)
class Fetched:
    """One object, None if Stripe does not have it (any more)."""

    object: dict[str, Any] | None
    read_at: datetime


class Client:
    """One Stripe account, read with a restricted key. Threads may share it."""

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        read_seconds: int = READ_SECONDS,
        seconds: float | None = None,
    ) -> None:
        """`seconds` from now on no request is begun any more, nor waited for that one: None sets no bound."""
        self._until = None if seconds is None else time.monotonic() + seconds
        self._api_key, self._base_url = api_key, base_url
        self._sleep, self._attempts = sleep, attempts
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": base_url} if base_url else {},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, read_seconds)),
        )

    @property
    def livemode(self) -> bool | None:
        """Whether the key reads real payments. None: it does not say."""
        kind = self._api_key.split("_")[1:2]
        return {"live": True, "test": False}.get(kind[0]) if kind else None

    def for_people(self) -> Client:
        """The same account, asked while somebody waits for the answer: each request twice at most, a few seconds
        each, and none when SECONDS_FOR_PEOPLE are over, however many there are."""
        return Client(
            self._api_key,
            self._base_url,
            sleep=self._sleep,
            attempts=2,
            read_seconds=READ_SECONDS_FOR_PEOPLE,
            seconds=SECONDS_FOR_PEOPLE,
        )

    def page(
        self,
        resource: str,
        *,
        after: str | None = None,
        created_from: int | None = None,
        created_before: int | None = None,
        limit: int = PAGE,
        filters: Mapping[str, str] | None = None,
    ) -> Listing:
        """A page of a resource. Times are Unix seconds; `filters` are Stripe's own (`charge`, `invoice`, ...).

        Raises NotPermitted, Rejected, Unreachable, CursorGone, Refused.
        """
        known = RESOURCES[resource]
        created = {"gte": created_from, "lt": created_before}
        created = {name: value for name, value in created.items() if value is not None}
        listing = self._list(
            known.path,
            {
                "limit": limit,
                **known.asked_with,
                **(filters or {}),
                **({"created": created} if created else {}),
                **({"starting_after": after} if after else {}),
                **({"expand": [f"data.{name}" for name in known.expand]} if known.expand else {}),
            },
        )
        for one in listing.objects:
            self._complete(known, one)
        return listing

    def every(self, resource: str, **filters: str) -> Listing:
        """A list that is short, all of it: the refunds of a charge, for example. Raises as `page` does."""
        first = listing = self.page(resource, filters=filters)
        objects = list(first.objects)
        while listing.has_more and listing.objects:
            listing = self.page(resource, after=listing.objects[-1]["id"], filters=filters)
            objects += listing.objects
        return Listing(objects, False, first.read_at)

    def fetch(self, object_type: str, object_id: str) -> Fetched:
        """One object as it is now. Raises NotPermitted, Rejected, Unreachable, Refused."""
        known = RESOURCES[RESOURCE_OF[object_type]]
        read_at = datetime.now(UTC)
        try:
            found = self._get(
                f"{known.path}/{quote(object_id, safe='')}",
                {"expand": list(known.expand)} if known.expand else {},
            )
        except _Gone:
            return Fetched(None, read_at)
        if found.get("deleted"):
            return Fetched(None, read_at)
        self._complete(known, found)
        return Fetched(found, read_at)

    def payment_methods(self, stripe_customer_id: str) -> list[dict[str, Any]]:
        """How a customer can pay, newest first. Raises NotPermitted, Rejected, Unreachable, Refused."""
        path = f"/v1/customers/{quote(stripe_customer_id, safe='')}/payment_methods"
        try:
            return self._list(path, {"limit": PAGE}).objects
        except _Gone:
            return []

    def events(self, created_from: int, *, after: str | None = None, limit: int = PAGE) -> Listing:
        """A page of the events since then (Unix seconds): Stripe keeps those of 30 days. Raises as `page` does."""
        asked: dict[str, Any] = {"limit": limit, "created": {"gte": created_from}}
        return self._list("/v1/events", asked | ({"starting_after": after} if after else {}))

    def _list(self, path: str, params: Mapping[str, Any]) -> Listing:
        read_at = datetime.now(UTC)
        answer = self._get(path, params)
        return Listing(list(answer["data"]), bool(answer["has_more"]), read_at)

    def _complete(self, known: Resource, one: dict[str, Any]) -> None:
        """Fetch what an embedded list has beyond its first items, into the object."""
        for name in known.embedded:
            embedded = one.get(name)
            while embedded and embedded.get("has_more") and embedded["data"]:
                more = self._list(
                    embedded["url"],
                    {
                        "limit": PAGE,
                        "starting_after": embedded["data"][-1]["id"],
                        **({"expand": list(EMBEDDED_EXPAND[name])} if name in EMBEDDED_EXPAND else {}),
                    },
                )
                if more.has_more and not more.objects:
                    raise Unreachable("Stripe's answer says that a list goes on, and has nothing of the rest.")
                embedded["data"] += more.objects
                embedded["has_more"] = more.has_more

    def _get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer or no hope of one."""
        for attempt in range(1, self._attempts + 1):
            if self._late(0):
                raise Unreachable("Stripe could not be asked: it takes too long to answer.")
            try:
                data = self._stripe.raw_request("get", path, **params).data
            except stripe.StripeError as error:
                if not _worth_repeating(error):
                    raise self._problem(error) from None
                wait = _wait(attempt, error)
                if attempt == self._attempts or self._late(wait):
                    raise Unreachable(f"Stripe could not be asked: {_why(error)}.") from None
                self._sleep(wait)
            else:
                if isinstance(data, dict):
                    return data
                raise Unreachable("Stripe's answer is no JSON object.")
        raise AssertionError("unreachable")

    def _late(self, wait: float) -> bool:
        """Whether the time is over, `wait` seconds from now."""
        return self._until is not None and time.monotonic() + wait >= self._until

    def _problem(self, error: stripe.StripeError) -> StripeProblem:
        said = (error.user_message or "").replace(self._api_key, "the key").strip()
        match error:
            case stripe.AuthenticationError():
                return Rejected(f"Stripe does not accept STRIPE_API_KEY. It says: {said}")
            case stripe.PermissionError():
                return NotPermitted(f"STRIPE_API_KEY may not read this. Stripe says: {said}")
            case stripe.InvalidRequestError(param="starting_after"):
                return CursorGone(said)
            case stripe.InvalidRequestError() if error.http_status == 404:
                return _Gone(said)
        return Refused(f"Stripe refuses the request (HTTP {error.http_status}): {said}")


def _worth_repeating(error: stripe.StripeError) -> bool:
    status = error.http_status
    return isinstance(error, stripe.APIConnectionError) or status in (409, 429) or not 400 <= (status or 500) < 500


def _why(error: stripe.StripeError) -> str:
    if isinstance(error, stripe.APIConnectionError):
        return "no answer, the connection failed or was cut"
    if error.http_status == 429:
        return "it limits our requests (HTTP 429)"
    return f"it answered HTTP {error.http_status}"


def _wait(attempt: int, error: stripe.StripeError) -> float:
    """Seconds before the next attempt: longer each time, spread so that several readers do not return at once.
    What Stripe asks for in Retry-After is the least."""
    asked = str((error.headers or {}).get("retry-after", ""))
    least = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    wait = FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 (no secret)
    return min(max(wait, least), LONGEST_WAIT_SECONDS)
