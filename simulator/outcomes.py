"""What will become of a submitted job: as its input asks, else by chance.

A wish is the input's `simulate`, or a marker in its prompt or text: "a red mug [simulate:fail:timeout]".
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

# Of 1,000 jobs. What remains succeeds and calls back once, as it should.
CHANCES: tuple[tuple[int, str], ...] = (
    (12, "fail:content_policy_violation"),
    (6, "fail:generation_failed"),
    (5, "fail:internal_error"),
    (3, "fail:timeout"),
    (3, "fail:invalid_input"),
    (3, "fail:provider_unavailable"),
    (2, "fail:storage_error"),
    (1, "fail:unknown_error"),
    (2, "refuse"),
    (1, "busy"),
    (20, "duplicate"),
    (10, "processing_first"),
    (4, "lose_callback"),
)

MARKED_FIELDS = ("prompt", "text")

_MARKER = re.compile(r"\[simulate:\s*([a-z0-9_:]+)\s*\]")


@dataclass(frozen=True)
class Plan:
    """What happens to one job.

    `answer` is how the submit is answered:
    accept      normally
    early       normally, but only after the job has ended and called back
    hang, cut   not at all: silence, or the connection is closed
    half        with the first half of the answer
    error       with a proxy's page and HTTP 502, although the job was taken
    otherwise   with the dialect's refusal of that name, and then there is no job

    `failure` is the error class of a job that fails. `callbacks` counts the copies that are sent of the last
    message. `processing_first` sends a message that ends nothing before it, `disorder` one after it. A job that
    is `stuck` never ends, one that is `gone` is not known any more once it has ended.
    """

    answer: str = "accept"
    failure: str | None = None
    callbacks: int = 1
    late: bool = False
    processing_first: bool = False
    disorder: bool = False
    stuck: bool = False
    gone: bool = False


PLANS: dict[str, Plan] = {
    "succeed": Plan(),
    "refuse": Plan(answer="refuse"),
    "refuse_account": Plan(answer="refuse_account"),
    "busy": Plan(answer="busy"),
    "hang": Plan(answer="hang"),
    "cut": Plan(answer="cut"),
    "half": Plan(answer="half"),
    "error": Plan(answer="error"),
    "early": Plan(answer="early"),
    "lose_callback": Plan(callbacks=0),
    "duplicate": Plan(callbacks=3),
    "late": Plan(late=True),
    "processing_first": Plan(processing_first=True),
    "disorder": Plan(disorder=True),
    "stuck": Plan(stuck=True),
    "gone": Plan(callbacks=0, gone=True),
}


def plan(inputs: Mapping[str, Any], chance: random.Random, refusals: Collection[str]) -> Plan:
    """The plan for a job; `refusals` are those that its dialect has. Raises ValueError for a wish that nobody
    can fulfil."""
    wish = inputs.get("simulate")
    if wish is None:
        wish = _marked(inputs)
    if wish is None:
        wish = _draw(chance)
    if isinstance(wish, str) and wish.startswith("fail:"):
        return replace(PLANS["succeed"], failure=wish.removeprefix("fail:"))
    if isinstance(wish, str) and wish in refusals:
        return Plan(answer=wish)
    if not isinstance(wish, str) or wish not in PLANS:
        known = ", ".join(dict.fromkeys([*PLANS, *refusals, "fail:<error class>"]))
        raise ValueError(f"simulate must be one of {known}.")
    return PLANS[wish]


def _marked(inputs: Mapping[str, Any]) -> str | None:
    for name in MARKED_FIELDS:
        text = inputs.get(name)
        if isinstance(text, str) and (match := _MARKER.search(text)):
            return match[1]
    return None


def _draw(chance: random.Random) -> str:
    number = chance.randrange(1000)
    for weight, wish in CHANCES:
        if number < weight:
            return wish
        number -= weight
    return "succeed"
