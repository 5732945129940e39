"""How often generations of the demo fail, and in which of the providers' own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.bodies import Failure
from demo.catalogue import NANOBANANA, Offer
from demo.chance import Chance
from makegood.providers.protocol import ErrorClass
from simulator.dialects.wavespeed import FAILURES

# Of 10,000 generations. What remains succeeds.
USUAL = (
    (9550, "succeed"),
    (300, "fail"),
    (32, "refuse"),
    (12, "overdue"),
    (56, "cancel"),
)
INCIDENT = ((36, "succeed"), (52, "fail"), (8, "refuse"), (4, "overdue"))
"""While a provider is in trouble."""

NO_PICTURE = FAILURES["invalid_input"]
INVALID_PARAMETER = (1401, "The parameter value is invalid.")
PREDICTION_FAILURES = (
    (38, FAILURES["content_policy_violation"]),
    (16, FAILURES["internal_error"]),
    (13, FAILURES["generation_failed"]),
    (12, NO_PICTURE),
    (9, FAILURES["timeout"]),
    (6, FAILURES["provider_unavailable"]),
    (4, FAILURES["storage_error"]),
    (2, FAILURES["unknown_error"]),
)
PREDICTION_INCIDENT = (
    (55, FAILURES["internal_error"]),
    (30, FAILURES["provider_unavailable"]),
    (15, FAILURES["timeout"]),
)
TASK_FAILURES = (
    (52, (400, "Your prompt was flagged as sensitive. Please modify the prompt and try again.")),
    (30, (501, "Image generation task failed.")),
    (18, (500, "Internal Error, Please try again later.")),
)
OTHER_FAILURES: tuple[tuple[int, Failure], ...] = (
    (48, (None, "content_policy_violation")),
    (28, (None, "generation_failed")),
    (16, (None, "internal_error")),
    (8, (None, "timeout")),
)
"""By error class: each dialect has its own words."""
REFUSALS = (
    (70, (ErrorClass.PROVIDER_UNAVAILABLE, "Too many requests. Please slow down.")),
    (30, (ErrorClass.INVALID_INPUT, INVALID_PARAMETER[1])),
)


def failure(chance: Chance, offer: Offer, input: Mapping[str, Any], *, incident: bool) -> Failure:
    """Why the provider of this offer failed."""
    if offer.provider == NANOBANANA:
        return chance.weighted(TASK_FAILURES)
    if offer.provider not in ("wavespeed", "simulated"):
        return chance.weighted(OTHER_FAILURES)
    drawn = chance.weighted(PREDICTION_INCIDENT if incident else PREDICTION_FAILURES)
    # Without a picture in the input there is none that could not be fetched.
    return drawn if drawn != NO_PICTURE or "images" in input else INVALID_PARAMETER
