"""Links to results, at providers where every model puts them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from makegood.providers import fields

MAX_DEPTH = 4


def files(result: Any) -> tuple[str, ...]:
    """The links of all files in a result, where a file is an object with a "url"."""
    return _links(_files(result, MAX_DEPTH))


def named(result: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The links in fields of these names, and in what stands there: a text, an object or a list of either."""
    return _links(_named(result, names, MAX_DEPTH))


def _links(urls: Iterable[str]) -> tuple[str, ...]:
    return fields.links(list(dict.fromkeys(urls)))


def _files(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and isinstance(value.get("url"), str):
        yield value["url"]
    elif isinstance(value, dict):
        yield from _inside(value.values(), depth, _files)
    elif isinstance(value, list):
        yield from _inside(value, depth, _files)


def _named(value: Any, names: Sequence[str], depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        chosen = [value[name] for name in names if name in value]
        yield from _inside(chosen, depth, lambda inner, left: _named(inner, names, left))
    elif isinstance(value, list):
        yield from _inside(value, depth, lambda inner, left: _named(inner, names, left))


def _inside(values: Iterable[Any], depth: int, look: Callable[[Any, int], Iterator[str]]) -> Iterator[str]:
    if depth:
        for inner in values:
            yield from look(inner, depth - 1)
