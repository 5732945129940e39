"""What WaveSpeed says it charged for the last week of the demo's history: mostly what was recorded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from demo.chance import Chance
from demo.staff import OPERATORS
from makegood import bills
from makegood.calendars import local_day, start_of
from makegood.models import Generation
from makegood.terms import Terms

PROVIDER = "wavespeed"
DAYS = 7
MORE, LESS, NOT_REFUNDED = 0.02, 0.01, 0.3
UNKNOWN = 2
HEADER = ("prediction_uuid", "billing_type", "price", "created_at", "model_uuid")
Line = tuple[str, str, Decimal, datetime, str]


def check(session: Session, terms: Terms, now: datetime, number: int) -> None:
    """Import the week before today as an operator would, from a CSV file."""
    today = local_day(now, terms.timezone)
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    query = (
        select(
            Generation.provider_job_id,
            Generation.model,
            Generation.cost_micros,
            Generation.charged_at,
            Generation.status,
        )
        .where(Generation.provider == PROVIDER, Generation.provider_job_id.is_not(None))
        .where(Generation.charged_at >= start_of(first, terms.timezone))
        .where(Generation.charged_at < start_of(today, terms.timezone), Generation.cost_micros > 0)
        .order_by(Generation.id)
    )
    generations = session.execute(query).all()
    if not generations:
        return
    content = _csv(_lines(Chance(f"{number} bill"), generations))
    name, actor = f"wavespeed-{first}.csv", OPERATORS[0]
    bill = bills.keep(session, PROVIDER, name, content, first, last, terms.timezone, actor=actor)
    bills.import_draft(session, bill.id, bills.preview(session, bill.id).mapping, actor=actor)


def _lines(chance: Chance, generations: Sequence[Any]) -> Iterator[Line]:
    for one in generations:
        usd = Decimal(one.cost_micros).scaleb(-6)
        if chance.happens(MORE):
            usd *= 2  # for two images, where one was recorded
        elif chance.happens(LESS):
            usd -= usd / 5
        yield one.provider_job_id, "deduct", usd, one.charged_at, one.model
        if one.status == "failed" and not chance.happens(NOT_REFUNDED):
            yield one.provider_job_id, "refund", usd, one.charged_at + timedelta(minutes=5), one.model
    for one in chance.sample(generations, min(UNKNOWN, len(generations))):
        yield chance.hex(32), "deduct", Decimal(one.cost_micros).scaleb(-6), one.charged_at, one.model


def _csv(lines: Iterator[Line]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEADER)
    for job, kind, usd, at, model in lines:
        writer.writerow((job, kind, f"{usd:f}", at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), model))
    return file.getvalue().encode()
