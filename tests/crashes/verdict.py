"""What became of everything: counted, and checked against what the providers and the platform know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import books
from simulator.jobs import State
from simulator.server import Simulator

COLUMNS = (
    "generations", "succeeded", "failed and refunded", "cancelled", "found after a lost submit",
    "timed out", "succeeded late", "submitted twice",
)  # fmt: skip

GENERATIONS = """
    SELECT substring(input::text from '#[0-9a-f]{16}') AS mark, provider, status, credits_charged AS charged,
           credits_refunded AS refunded, error_class, late_outcome, provider_job_id AS job, submitted_at
      FROM generations
"""
BALANCES = """
    SELECT b.customer_id, b.balance, (SELECT sum(credits) FROM grants g WHERE g.customer_id = b.customer_id)
           - coalesce((SELECT sum(credits_charged - credits_refunded) FROM generations n
                        WHERE n.customer_id = b.customer_id), 0) AS expected
      FROM balances b
"""
_MARK = re.compile(r"#[0-9a-f]{16}")


@dataclass
class Verdict:
    """The counts by provider, and every sentence that should not have to be said."""

    counts: Mapping[str, Counter[str]]
    kills: Mapping[str, int]
    problems: list[str] = field(default_factory=list)

    def total(self, column: str) -> int:
        """A column's sum over all providers."""
        return sum(counts[column] for counts in self.counts.values())

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.counts, "together"))
        killed = ", ".join(f"{name} {count}" for name, count in self.kills.items())
        lines = [f"kills: {sum(self.kills.values())} ({killed})"]
        lines.append(" " * width + "".join(f"  {column}" for column in COLUMNS))
        rows = {**self.counts, "together": Counter({column: self.total(column) for column in COLUMNS})}
        for name, counts in rows.items():
            cells = "".join(f"  {counts[column]:>{len(column)}}" for column in COLUMNS)
            lines.append(f"{name:<{width}}{cells}")
        lines += [f"PROBLEM: {problem}" for problem in self.problems]
        if not self.problems:
            lines.append("Everything has ended, nothing was submitted twice, and the books balance.")
        return "\n".join(lines)


def judge(session: Session, simulators: Sequence[Simulator], kills: Mapping[str, int]) -> Verdict:
    """Compare the rows with what the providers were asked for."""
    verdict = Verdict({one.name: Counter() for one in simulators}, kills)
    rows = {row.mark: row for row in session.execute(text(GENERATIONS))}
    for simulator in simulators:
        _judge_provider(
            verdict, simulator, {mark: row for mark, row in rows.items() if row.provider == simulator.name}
        )
    for row in session.execute(text(BALANCES)):
        if row.balance != row.expected:
            verdict.problems.append(f"{row.customer_id} has {row.balance} credits and should have {row.expected}")
    verdict.problems += [f"{one.rule}: {one.subject}: {one.found}" for one in books.violations(session)]
    return verdict


def _judge_provider(verdict: Verdict, simulator: Simulator, rows: Mapping[str, object]) -> None:
    counts, say = verdict.counts[simulator.name], verdict.problems.append
    submits = Counter(_mark(asked.input) for asked in simulator.submitted)
    jobs = {_mark(job.asked.input): job for job in simulator.accepted}
    counts["submitted twice"] = sum(number > 1 for number in submits.values())
    for mark, number in submits.items():
        if number > 1:
            say(f"{simulator.name}: {mark} was submitted {number} times")
        if mark not in rows:
            say(f"{simulator.name}: {mark} was submitted, and no generation knows of it")
    for mark, row in rows.items():
        counts.update(_counted(row))
        job = jobs.get(mark)
        if problem := _problem(row, None if job is None else job.state):
            say(f"{simulator.name}: {mark} {problem} (job: {job and (job.id, job.state, job.plan)}, row: {row})")


def _counted(row: object) -> Counter[str]:
    return Counter(
        {
            "generations": 1,
            row.status: 1,
            "failed and refunded": row.status == "failed" and row.refunded == row.charged,
            "found after a lost submit": row.job is not None and row.submitted_at is None,
            "timed out": row.status == "failed" and row.error_class == "timeout",
            "succeeded late": row.late_outcome == "succeeded",
        }
    )


def _problem(row: object, at_provider: State | None) -> str | None:
    """What is wrong with a generation whose job ended so (None: it was never taken)."""
    if row.status not in ("succeeded", "failed", "cancelled"):
        return f"is still {row.status}"
    if row.status == "succeeded" and (row.refunded or at_provider is not State.SUCCEEDED):
        return "succeeded without a success, or was refunded all the same"
    if row.status == "failed" and row.refunded != row.charged:
        return "failed and is not refunded"
    if row.status == "cancelled" and at_provider is not None and row.refunded and row.late_outcome != "failed":
        return "was cancelled, worked on, and refunded"
    return None


def _mark(asked: Mapping[str, object]) -> str:
    match = _MARK.search(str(dict(asked)))
    return match[0] if match else "unmarked"
