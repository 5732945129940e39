"""Outputs: the links and files that a generation ended with, and until when they can be had.

A provider that sends a file instead of a link leaves nothing to link to: we keep it ourselves for a while, and the
output is an address of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood.errors import MakegoodError, NotFound
from makegood.models import Generation, OutputFile
from makegood.providers.protocol import ErrorClass, Outcome, Report

MAX_FILE_BYTES = 20 * 1024 * 1024
"""The database refuses more."""
OTHER = "application/octet-stream"

_CONTENT_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")


class Gone(MakegoodError):
    """The output was there and is no more."""

    code = "output_gone"
    status = 410


@dataclass(frozen=True)
class Output:
    """One output: the file that we keep (its type and content), or a link to fetch."""

    generation_id: UUID
    number: int
    provider: str
    link: str | None = None
    content_type: str = ""
    content: bytes = b""


def address(generation_id: UUID, number: int) -> str:
    """The path below our public address at which a kept output (from 1) is."""
    return f"/api/v1/generations/{generation_id}/outputs/{number}"


def checked(report: Report) -> Report:
    """The report; a failure in its place if a file that came with it cannot be kept."""
    if all(0 < len(file.content) <= MAX_FILE_BYTES for file in report.files):
        return report
    problem = f"The result is empty, or larger than the {MAX_FILE_BYTES // 2**20} MB that can be kept."
    return replace(report, outcome=Outcome.FAILED, error_class=ErrorClass.STORAGE_ERROR, message=problem, files=())


def named(generation_id: UUID, report: Report, expire_at: datetime) -> Report:
    """The report with an address of ours for each file that came with it."""
    if not report.files:
        return report
    first = len(report.outputs) + 1
    ours = tuple(address(generation_id, first + index) for index in range(len(report.files)))
    return replace(report, outputs=report.outputs + ours, outputs_expire_at=report.outputs_expire_at or expire_at)


def keep(session: Session, generation_id: UUID, report: Report, expire_at: datetime) -> None:
    """Keep the files that came with a report, until then."""
    for index, file in enumerate(report.files, start=len(report.outputs) + 1):
        content_type = file.content_type.partition(";")[0].strip().lower()
        values = {
            "generation_id": generation_id,
            "position": index,
            "content_type": content_type if _CONTENT_TYPE.fullmatch(content_type[:200]) else OTHER,
            "content": file.content,
            "expires_at": expire_at,
        }
        session.execute(insert(OutputFile).values(values).on_conflict_do_nothing())


def find(session: Session, generation_id: UUID, number: int, *, at: datetime | None = None) -> Output:
    """One output, from 1. Raises NotFound, and Gone once its time has passed."""
    at = at or datetime.now(UTC)
    generation = session.get(Generation, generation_id, populate_existing=True)
    if generation is None:
        raise NotFound("There is no such generation.")
    outputs = generation.outputs or []
    if not 1 <= number <= len(outputs):
        raise NotFound(f"This generation has {len(outputs)} outputs, numbered from 1.")
    if is_over(generation, at):
        raise Gone(
            "This output could be had for a limited time, which is over. Fetch outputs soon after a generation "
            "ends. No credits moved."
        )
    link = outputs[number - 1]
    if link != address(generation_id, number):
        return Output(generation_id, number, generation.provider, link=link)
    file = session.get(OutputFile, (generation_id, number))
    if file is None or file.expires_at <= at:
        raise Gone("This output was kept for a limited time, which is over. No credits moved.")
    return Output(generation_id, number, generation.provider, content_type=file.content_type, content=file.content)


def is_over(generation: Generation, at: datetime) -> bool:
    """Whether the outputs' time has passed, as far as anybody knows."""
    return generation.outputs_expire_at is not None and generation.outputs_expire_at <= at


def forget(session: Session, *, at: datetime | None = None) -> int:
    """Drop kept files whose time has passed. Returns how many."""
    over = delete(OutputFile).where(OutputFile.expires_at <= (at or datetime.now(UTC)))
    return len(session.execute(over.returning(OutputFile.position)).all())
