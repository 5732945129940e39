"""What is found when the books do not add up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One row that breaks a rule."""

    rule: str
    subject: str
    found: str
