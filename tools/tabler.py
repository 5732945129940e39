"""Make `static/tabler.css`: the rules of the vendored Tabler that a page of ours can ever match.

Run `python -m tools.tabler` after a template or script uses a class of Tabler for the first time; a test says so.
A rule stays when every class in its selector is a word of a template or script, a variable when a rule that stays
or one of our own sheets reads it. What stays is in Tabler's own order, as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "static/vendor/tabler-1.6.1.min.css"
TARGET = ROOT / "static/tabler.css"
HEADER = "/* Made of vendor/tabler-1.6.1.min.css by tools/tabler.py. MIT licence, see vendor/README.md. */\n"

CLASS = re.compile(r"\.(-?[A-Za-z_](?:[\w-]|\\.)*)")
WORD = re.compile(r"[A-Za-z][\w-]*")
VARIABLE = re.compile(r"--[\w-]+")
NEVER = re.compile(r"^(?:html |:root)?\[data-bs-theme-(?:base|primary|radius|font)|\[dir=rtl\]")
NESTING = ("@media", "@supports", "@layer", "@container")
Rule = tuple[str, str | list["Rule"]]


def missing() -> list[str]:
    """The rules that the templates may use and that the sheet as it is written does not have."""
    have = set(TARGET.read_text().splitlines())
    return [line for line in trimmed().splitlines() if line not in have and not line.startswith((":", "@"))]


def main() -> None:
    """Write the sheet anew."""
    TARGET.write_text(trimmed())


def trimmed() -> str:
    """The sheet that belongs to the templates, scripts and sheets as they are now."""
    rules = list(_kept(_parse(SOURCE.read_text()), used_words()))
    own = "".join(path.read_text() for path in (ROOT / "static").glob("*.css") if path != TARGET)
    return HEADER + _written(rules, _read_variables(rules, own)) + "\n"


def used_words() -> frozenset[str]:
    """Every word of a template or script that could be a class."""
    sources = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").glob("*.js")]
    return frozenset(word for path in sources for word in WORD.findall(path.read_text()))


def _parse(css: str) -> list[Rule]:
    """The rules of a sheet: each a prelude with its declarations, or with the rules inside it."""
    rules: list[Rule] = []
    at = 0
    while at < len(css):
        end = _find(css, at, "{;")
        if end == len(css):
            break
        prelude = re.sub(r"/\*.*?\*/", "", css[at:end], flags=re.DOTALL).strip()
        if css[end] == ";":
            at = end + 1
            continue
        close = _closing(css, end)
        body = css[end + 1 : close]
        rules.append((prelude, _parse(body) if prelude.startswith(NESTING) else body))
        at = close + 1
    return rules


def _find(css: str, at: int, stops: str) -> int:
    """Where the next of these characters is, outside of strings and comments; the end if there is none."""
    quote = ""
    while at < len(css):
        character = css[at]
        if quote:
            quote = "" if character == quote else quote
        elif css.startswith("/*", at):
            at = css.index("*/", at) + 1
        elif character in "\"'":
            quote = character
        elif character in stops:
            return at
        at += 1
    return at


def _closing(css: str, opening: int) -> int:
    depth, at = 1, opening
    while depth:
        at = _find(css, at + 1, "{}")
        depth += 1 if css[at] == "{" else -1
    return at


def _kept(rules: list[Rule], words: frozenset[str]) -> Iterator[Rule]:
    for prelude, body in rules:
        if isinstance(body, list):
            inner = list(_kept(body, words))
            if inner:
                yield prelude, inner
        elif prelude.startswith("@"):
            yield prelude, body
        else:
            selectors = [part for part in _parted(prelude, ",") if _can_match(part, words)]
            if selectors:
                yield ",".join(selectors), body


def _parted(text: str, mark: str) -> list[str]:
    """The parts between these marks, not counting the ones inside brackets and strings."""
    parts, depth, start, quote = [], 0, 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == mark and not depth:
            parts.append(text[start:at])
            start = at + 1
        else:
            depth += (character in "([") - (character in ")]")
    return [part for part in (*parts, text[start:]) if part.strip()]


def _can_match(selector: str, words: frozenset[str]) -> bool:
    if NEVER.search(selector):
        return False
    needed = re.sub(r":(?:not|is|where)\([^()]*\)", "", selector)
    return all(name.replace("\\", "") in words for name in CLASS.findall(needed))


def _read_variables(rules: list[Rule], own: str) -> set[str]:
    """The variables that are read by what stays, or by the value of one that is."""
    values: dict[str, set[str]] = {}
    read = set(VARIABLE.findall(own))
    for _, body in _flat(rules):
        for name, value in _declarations(body):
            names = set(VARIABLE.findall(value))
            if name.startswith("--"):
                values.setdefault(name, set()).update(names)
            else:
                read |= names
    waiting = list(read)
    while waiting:
        for name in values.get(waiting.pop(), set()) - read:
            read.add(name)
            waiting.append(name)
    return read


def _flat(rules: list[Rule]) -> Iterator[tuple[str, str]]:
    for prelude, body in rules:
        if isinstance(body, list):
            yield from _flat(body)
        else:
            yield prelude, body


def _declarations(body: str) -> list[tuple[str, str]]:
    pairs = (part.partition(":") for part in _parted(body, ";"))
    return [(name.strip(), value) for name, _, value in pairs]


def _written(rules: list[Rule], read: set[str]) -> str:
    lines = []
    for prelude, body in rules:
        if isinstance(body, list):
            inner = _written(body, read)
        elif prelude.startswith("@"):
            inner = body
        else:
            kept = [(n, v) for n, v in _declarations(body) if not n.startswith("--") or n in read]
            inner = ";".join(f"{name}:{value}" for name, value in kept)
        if inner:
            lines.append(f"{prelude}{{{inner}}}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
