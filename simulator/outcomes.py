"""What will become of a submitted job: as `input.simulate` asks, else by chance."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

# One failure for each of Makegood's error classes, in the provider's words. Codes: https://wavespeed.ai/docs/error-codes
FAILURES: dict[str, tuple[int | None, str]] = {
    "content_policy_violation": (
        1200,
        "Content flagged as potentially sensitive. Please try different prompts or images.",
    ),
    "internal_error": (5000, "An internal error occurred."),
    "generation_failed": (1405, "The task execution failed."),
    "storage_error": (None, "Failed to upload output to storage."),
    "timeout": (5004, "The request timed out."),
    "provider_unavailable": (5003, "The service is temporarily unavailable."),
    "provider_account": (None, "Insufficient credits. Please top up."),
    "invalid_input": (1402, "Failed to download image from the provided URL."),
}
UNMAPPED = (9000, "Worker 17 gave up.")

REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "refuse": (400, {"code": 400, "message": "The parameter value is invalid.", "error_code": 1401}),
    "refuse_account": (402, {"code": 402, "message": "Insufficient credits. Please top up"}),
    "busy": (429, {"code": 429, "message": "Too many requests. Please slow down."}),
}

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


@dataclass(frozen=True)
class Plan:
    """What happens to one job. `answer` is how the submit is answered: normally, not at all (hang, cut), or with
    a refusal, and then there is no job. `callbacks` counts the copies that are sent.
    """

    answer: str = "accept"
    failure: tuple[int | None, str] | None = None
    callbacks: int = 1
    late: bool = False
    processing_first: bool = False


PLANS: dict[str, Plan] = {
    "succeed": Plan(),
    "refuse": Plan(answer="refuse"),
    "refuse_account": Plan(answer="refuse_account"),
    "busy": Plan(answer="busy"),
    "hang": Plan(answer="hang"),
    "cut": Plan(answer="cut"),
    "lose_callback": Plan(callbacks=0),
    "duplicate": Plan(callbacks=3),
    "late": Plan(late=True),
    "processing_first": Plan(processing_first=True),
}


def plan(inputs: Mapping[str, Any], chance: random.Random) -> Plan:
    """The plan for a job. Raises ValueError for a `simulate` that does not exist."""
    wish = inputs.get("simulate")
    if wish is None:
        wish = _draw(chance)
    if isinstance(wish, str) and wish.startswith("fail:"):
        return replace(PLANS["succeed"], failure=FAILURES.get(wish.removeprefix("fail:"), UNMAPPED))
    if not isinstance(wish, str) or wish not in PLANS:
        known = ", ".join([*PLANS, "fail:<error class>"])
        raise ValueError(f"simulate must be one of {known}.")
    return PLANS[wish]


def _draw(chance: random.Random) -> str:
    number = chance.randrange(1000)
    for weight, wish in CHANCES:
        if number < weight:
            return wish
        number -= weight
    return "succeed"
