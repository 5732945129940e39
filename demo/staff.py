"""The operators of the demo's platform, and why they refund by hand."""

from __future__ import annotations

from demo.chance import Chance

OPERATORS = ("mira@example.com", "tomas@example.com")

COMPLAINTS = (
    (34, ("bad_result", "Six fingers on the left hand; the customer sent a screenshot.")),
    (22, ("bad_result", "Text in the picture is garbled, second complaint this week.")),
    (16, ("goodwill", "Long-standing customer, asked kindly.")),
    (12, ("wrong_charge", "Pressed twice by mistake, only one picture was wanted.")),
    (10, ("bad_result", "Output ignores the reference picture.")),
    (10, ("bad_result", "The product's logo is mirrored in every version.")),
    (8, ("bad_result", "Colours far off from the brand sheet the customer sent.")),
    (8, ("goodwill", "First complaint in a year of use.")),
    (6, ("wrong_charge", "Shared account: a colleague had started the same picture.")),
    (6, ("other", "Agreed with the customer on the phone.")),
)


def complaint(chance: Chance, *, cancelled: bool, incident: bool) -> tuple[str, str]:
    """A reason from the list and a note."""
    if incident:
        return "outage", "Provider incident in the afternoon, result was unusable."
    if cancelled:
        return "goodwill", "Cancelled within seconds, asked for the credits back."
    return chance.weighted(COMPLAINTS)
