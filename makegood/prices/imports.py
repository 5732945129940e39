"""Importing a CSV file into the price book: what would change, and that and nothing else.

A row that has the line and the beginning of a version is about that version: the same, another end, or a
correction. Any other row is a new version; it ends the one that runs when it begins, if the file does not mention
that one. Versions that the file does not mention stay.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise

from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.models import Price
from makegood.prices import book, changes, sheet
from makegood.prices.lines import Entry, Line, entry_of, line_of
from makegood.prices.sheet import Bad, Row

ACTIONS = {"new": "price.added", "changed": "price.corrected", "ended": "price.ended"}
FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Difference:
    """What a row does: `kind` is new, changed, ended or equal. `before` is the version that it is about or, if it
    is new, the one that it ends. `jump` says how it differs if that is hard to believe."""

    kind: str
    row: Row
    before: Price | None = None
    jump: str | None = None


@dataclass(frozen=True)
class Preview:
    """What a file would change. `fingerprint` stands for the file and for the book as it is."""

    text: str
    fingerprint: str
    differences: list[Difference] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)

    @property
    def jumps(self) -> list[Difference]:
        """The differences that have to be confirmed."""
        return [difference for difference in self.differences if difference.jump]

    def count(self, kind: str) -> int:
        """How many rows are of this kind."""
        return sum(difference.kind == kind for difference in self.differences)

    @property
    def effective(self) -> list[Difference]:
        """The differences that change something."""
        return [difference for difference in self.differences if difference.kind != "equal"]


class ImportChanged(Conflict):
    """File or book are not what was previewed."""

    def __init__(self, preview: Preview) -> None:
        super().__init__("The price book changed meanwhile. Nothing was imported. This is what would change now.")
        self.preview = preview


def preview(session: Session, text: str) -> Preview:
    """Compare a file with the book. Writes nothing."""
    parsed = sheet.parse(text)
    versions = book.versions(session)
    fingerprint = hashlib.sha256(f"{book.state(versions)}\n{text}".encode()).hexdigest()
    if parsed.bad:
        return Preview(text, fingerprint, bad=parsed.bad)
    held: defaultdict[Line, list[Price]] = defaultdict(list)
    for price in versions:
        if price.withdrawn_at is None:
            held[line_of(price)].append(price)
    for known in held.values():
        known.sort(key=lambda price: price.effective_from)
    differences: list[Difference] = []
    bad: list[Bad] = []
    for line, rows in _by_line(parsed.rows, bad).items():
        found = [_compare(row, rows, held[line]) for row in rows.values()]
        differences += found
        bad += _overlaps(found, held[line])
    differences.sort(key=lambda difference: difference.row.number)
    return Preview(text, fingerprint, differences, sorted(bad, key=lambda one: one.number))


def apply(
    session: Session,
    text: str,
    *,
    fingerprint: str,
    confirmed: bool,
    actor: str,
    at: datetime,
    address: str | None,
) -> Preview:
    """Import what was previewed. Raises ImportChanged (the book changed meanwhile), Unconfirmed (a price differs
    very much) and Invalid (bad rows). One audit entry for each version that changed, and one for the file."""
    session.execute(changes.ONE_EDITOR)
    found = preview(session, text)
    if found.fingerprint != fingerprint:
        raise ImportChanged(found)
    if found.bad:
        raise Invalid("Nothing was imported. Correct the rows named here and send the file again.")
    if not found.effective:
        raise Invalid("Nothing was imported: the price book says all of this already.")
    if found.jumps and not confirmed:
        raise changes.Unconfirmed("Nothing was imported. Confirm the prices that differ very much.")
    written = _write(session, found.effective, actor, at)
    for difference, was, now in written:
        audit.record(
            session,
            actor=actor,
            action=ACTIONS[difference.kind],
            subject=difference.row.entry.line.subject,
            details={"before": was, "after": changes.snapshot(now), "import": fingerprint},
            address=address,
        )
    counts = {kind: found.count(kind) for kind in ("new", "changed", "ended", "equal")}
    audit.record(
        session,
        actor=actor,
        action="prices.imported",
        subject="prices",
        details={"import": fingerprint, **counts},
        address=address,
    )
    return found


def _by_line(rows: list[Row], bad: list[Bad]) -> dict[Line, dict[datetime, Row]]:
    """The rows by line and beginning; a second one for the same is bad."""
    found: defaultdict[Line, dict[datetime, Row]] = defaultdict(dict)
    for row in rows:
        first = found[row.entry.line].setdefault(row.entry.start, row)
        if first is not row:
            bad.append(Bad(row.number, "effective_from", f"is the same as in line {first.number}"))
    return found


def _compare(row: Row, rows: dict[datetime, Row], held: list[Price]) -> Difference:
    entry = row.entry
    same = next((price for price in held if price.effective_from == entry.start), None)
    if same is None:
        running = next((price for price in held if book.holds(price, entry.start)), None)
        ended = running if running is not None and _left_to(running, entry, rows) else None
        return Difference("new", row, ended, changes.jump(book.nearest(held, entry.start), entry.quote))
    before = entry_of(same)
    if before == entry:
        return Difference("equal", row, same)
    kind = "ended" if before.quote == entry.quote and entry.end is not None else "changed"
    return Difference(kind, row, same, changes.jump(same, entry.quote))


def _left_to(running: Price, entry: Entry, rows: dict[datetime, Row]) -> bool:
    """Whether a new row may end the running version: the file says nothing of that, and nothing is left open after
    the new row that was priced before."""
    return running.effective_from not in rows and running.effective_to == entry.end


def _overlaps(found: list[Difference], held: list[Price]) -> list[Bad]:
    """The rows that would hold together with another version once all is done."""
    ends = {price.effective_from: (price.effective_to, f"version {price.version}", 0) for price in held}
    for one in found:
        if one.kind == "new" and one.before is not None:
            start = one.before.effective_from
            ends[start] = (one.row.entry.start, ends[start][1], 0)
    for one in found:
        ends[one.row.entry.start] = (one.row.entry.end, f"line {one.row.number}", one.row.number)
    bad = []
    ordered = sorted(ends.items())
    for (_, (end, name, number)), (start, (_, next_name, next_number)) in pairwise(ordered):
        if (end or FOREVER) <= start:
            continue
        if next_number:
            bad.append(Bad(next_number, "effective_from", f"overlaps {name}, which holds beyond that"))
        else:
            bad.append(Bad(number, "effective_to", f"overlaps {next_name}, which begins before that"))
    return bad


def _write(
    session: Session, differences: list[Difference], actor: str, at: datetime
) -> list[tuple[Difference, dict[str, object] | None, Price]]:
    """Make room first, then fill it: at no statement do two versions of a line hold at once."""
    was = {id(one): changes.snapshot(one.before) for one in differences}
    for one in differences:
        if one.before is not None and not _moves_end(one):
            if one.kind == "new":
                one.before.effective_to = one.row.entry.start
            else:
                one.before.withdrawn_at = at
    session.flush()
    for one in differences:
        if one.before is not None and _moves_end(one):
            one.before.effective_to = one.row.entry.end
    session.flush()
    return [(one, was[id(one)], _written(session, one, actor)) for one in differences]


def _moves_end(one: Difference) -> bool:
    """Whether the row says what its version says, but for the end."""
    if one.kind == "new" or one.before is None:
        return False
    return replace(entry_of(one.before), end=one.row.entry.end) == one.row.entry


def _written(session: Session, one: Difference, actor: str) -> Price:
    if one.before is not None and _moves_end(one):
        return one.before
    versions = book.line(session, one.row.entry.line).versions
    number = max((price.version for price in versions), default=0) + 1
    return changes.insert(session, one.row.entry, number, actor)
