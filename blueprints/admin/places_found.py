"""Finding places of the console by words: those of their names, and those that each says of itself."""

from __future__ import annotations

import re

from blueprints.admin.actions import ACTIONS
from blueprints.admin.places import BELOW, GROUPS, Entry, open_to_operator

EVERY = (*(entry for _, entries in GROUPS for entry in entries), *BELOW, *ACTIONS)
AROUND = "a|an|and|do|for|from|has|have|how|i|in|is|it|my|of|on|or|see|show|that|the|to|what|where|who"
"""What stands in a question around the words that are sought."""
NOT_SOUGHT = frozenset(AROUND.split("|"))


def found(sought: str) -> list[Entry]:
    """The places open to the operator of this request that have every word of what is sought, or one that begins
    so. Those that have more of them in their name come first."""
    asked = [word for word in _words(sought) if word not in NOT_SOUGHT]
    if not asked:
        return []
    fitting = [
        (sum(_has(entry.label, word) for word in asked), entry)
        for entry in EVERY
        if all(_has(f"{entry.label} {entry.words}", word) for word in asked)
    ]
    return [entry for _, entry in sorted(fitting, key=lambda one: -one[0]) if open_to_operator(entry)]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9-]+", text.lower())


def _has(text: str, word: str) -> bool:
    """Whether one of the text's words begins so; a plural finds its singular."""
    singular = word.removesuffix("s")
    return any(one.startswith(word) or one == singular for one in _words(text))
