"""Finding places of the console by words: those of their names, and those that each says of itself."""

from __future__ import annotations

from functools import cache

from blueprints.admin.actions import ACTIONS
from blueprints.admin.places import BELOW, GROUPS, Entry, open_to_operator

EVERY = (*(entry for _, entries in GROUPS for entry in entries), *BELOW, *ACTIONS)
AROUND = (
    "a an and are did do does for from has have how i in is it me my of on or our see show that the there to us"
    " was we were what when where which who whose why"
)
"""What stands in a question around the words that are sought."""
SHORTEST = 2
NOT_SOUGHT = frozenset(AROUND.split())


def found(sought: str) -> list[Entry]:
    """The places open to the operator of this request that have the words of what is sought, or words that begin
    so: all of them, or else the most, from half on. Those called so come first, then those that have more in
    their name."""
    asked = [word for word in _split(sought) if word not in NOT_SOUGHT and len(word) >= SHORTEST]
    fitting = [
        (_fitting(entry, asked), _named(entry, asked), entry)
        for entry in EVERY
        if asked and open_to_operator(entry)
    ]
    most = max((count for count, _, _ in fitting), default=0)
    if most * 2 < len(asked) or not most:
        return []
    best = [(named, entry) for count, named, entry in fitting if count == most]
    return [entry for _, entry in sorted(best, key=lambda one: one[0], reverse=True)]


def _fitting(entry: Entry, asked: list[str]) -> int:
    return sum(_has(f"{entry.label} {entry.words}", word) for word in asked)


def _named(entry: Entry, asked: list[str]) -> tuple[bool, int]:
    singular = [word.removesuffix("s") for word in asked]
    called_so = [word.removesuffix("s") for word in _words(entry.label)] == singular
    return called_so, sum(_has(entry.label, word) for word in asked)


@cache  # of the places' own texts only: they are asked for with every search
def _words(text: str) -> list[str]:
    return _split(text)


def _split(text: str) -> list[str]:
    return [word.strip(",.?!:“”\"'") for word in text.lower().split()]


def _has(text: str, word: str) -> bool:
    """Whether one of the text's words begins so; a plural finds its singular."""
    singular = word.removesuffix("s")
    return any(one.startswith(word) or one == singular for one in _words(text))
