"""What the crash test asks which provider for, and the fates that it wishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

WISHES = {
    "succeed": 40,
    "fail:content_policy_violation": 6,
    "fail:internal_error": 6,
    "fail:generation_failed": 4,
    "refuse": 3,
    "refuse_account": 1,
    "busy": 2,
    "hang": 6,
    "cut": 8,
    "half": 4,
    "error": 5,
    "early": 4,
    "lose_callback": 8,
    "duplicate": 5,
    "disorder": 4,
    "processing_first": 3,
    "late": 4,
    "stuck": 2,
    "gone": 2,
}
"""Of about 117 generations."""


@dataclass(frozen=True)
class Offer:
    """A model of a provider, and an input for it with this prompt."""

    model: str
    kind: str
    input: Callable[[str], Mapping[str, Any]]


OFFERS: Mapping[str, Offer] = {
    "simulated": Offer("google/nano-banana/edit", "image", lambda prompt: {"prompt": prompt}),
    "wavespeed": Offer("bytedance/seedream-v4", "image", lambda prompt: {"prompt": prompt}),
    "nanobanana": Offer("nano-banana-2", "image", lambda prompt: {"prompt": prompt, "resolution": "2K"}),
}
