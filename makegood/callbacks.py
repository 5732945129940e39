"""The callbacks inbox: every delivery is stored as received and applied at most once.

Order: signature, token, store, apply. The signature comes first, because a provider's public keys may have to be
fetched, and no transaction is open then. A provider that signs nothing proves nothing: its callback is a hint, and
reconcile fetches the job with our key before money moves. So is a genuine one that does not say everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import alerts, generations, hints, reports
from makegood.errors import NotFound
from makegood.ids import hash_token, uuid7
from makegood.models import Callback, Generation
from makegood.providers.protocol import CallbackRejected, Outcome, Provider, Report
from makegood.terms import Terms

MAX_BODY = 256 * 1024
MAX_ATTEMPTS = 20
RETRY_SECONDS = 10
"""Tries are so far apart at first, and twice as far each time: the last comes two months after the delivery."""
KEPT_HEADERS = ("content-type", "user-agent", "webhook-id", "webhook-timestamp")
"""What is kept beside the body: never a signature, a secret or an authorization."""

SECRET_HEADERS = ("x-webhook-secret",)
"""What holds a secret in clear, which its sender may repeat in the body: it is masked there, whatever it is."""
MASK = b"***"
LEAST_MASKED = 8
"""What is shorter is no secret: masking it would only spoil the body."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Receipt:
    """What became of a delivery: its state in the inbox, and why."""

    callback_id: UUID
    state: str
    detail: str


@dataclass(frozen=True)
class _Addressee:
    id: UUID
    customer_id: str
    provider_job_id: str | None
    ended: bool


def receive(
    session: Session,
    providers: Mapping[str, Provider],
    provider_name: str,
    token: str,
    headers: Mapping[str, str],
    body: bytes,
    terms: Terms,
    *,
    now: datetime | None = None,
) -> Receipt:
    """Take a delivery into the inbox and apply it. Header names are in lower case. No transaction may be open.

    Raises NotFound for a token that belongs to no generation of this provider: nothing is stored then.
    """
    now = now or datetime.now(UTC)
    provider = providers[provider_name]
    report, problem = _read(provider, headers, body, now, token)
    addressee = _addressee(session, provider_name, token)
    secrets = (token, provider.job_secret(token), *(headers.get(name) for name in SECRET_HEADERS))
    kept = _masked(body, *secrets)
    if report and report.message:
        report = replace(report, message=_masked(report.message.encode(errors="replace"), *secrets).decode())
    if report and addressee.provider_job_id not in (None, report.provider_job_id or addressee.provider_job_id):
        report, problem = None, hints.OTHER_JOB
    if report is None:
        return _store(session, addressee, provider_name, headers, kept, "rejected", detail=problem)
    if report.outcome is Outcome.PENDING:
        detail = f"not an end: {report.status}" if report.status else "not an end"
        return _store(session, addressee, provider_name, headers, kept, "ignored", report, detail)
    receipt = _store(session, addressee, provider_name, headers, kept, "waiting", report)
    if receipt.state == "duplicate":
        return receipt
    if not provider.signed or report.incomplete:
        return _follow(session, receipt.callback_id, addressee.id, provider, report, now)
    return apply(session, receipt.callback_id, addressee.id, report, terms, now)


def retry_next(
    session: Session, providers: Mapping[str, Provider], terms: Terms, *, after: UUID | None = None
) -> UUID | None:
    """Apply the next genuine delivery (beyond `after`) that could not be applied when it came; None at the end.

    One for each transaction: the caller commits in between. Balances of several customers, locked in the order
    of their deliveries, would be a deadlock.
    """
    age = func.extract("epoch", func.clock_timestamp() - Callback.received_at)
    signed = [name for name, provider in providers.items() if provider.signed]
    due = (
        select(Callback)
        .where(Callback.state == "waiting", Callback.provider.in_(signed), Callback.attempts < MAX_ATTEMPTS)
        # A report that leaves something out is never applied as it is: reconcile fetches its job.
        .where(Callback.parsed["incomplete"].astext.is_distinct_from("true"))
        .where(age >= RETRY_SECONDS * (func.power(2, Callback.attempts - 1) - 1))
        .order_by(Callback.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    callback = session.scalar(due if after is None else due.where(Callback.id > after))
    if callback is None:
        return None
    report = reports.from_json(callback.parsed or {})
    apply(session, callback.id, callback.generation_id, report, terms, datetime.now(UTC))
    return callback.id


def _read(
    provider: Provider, headers: Mapping[str, str], body: bytes, now: datetime, token: str
) -> tuple[Report | None, str]:
    """What a delivery says, or why it is not genuine."""
    try:
        return provider.parse_callback(headers, body, now, token), ""
    except CallbackRejected as rejected:
        return None, str(rejected)


def _addressee(session: Session, provider_name: str, token: str) -> _Addressee:
    # A job that was only likely this generation's gives way to the one that the token vouches for.
    job = case((Generation.job_by_likeness, None), else_=Generation.provider_job_id)
    row = session.execute(
        select(Generation.id, Generation.customer_id, job, Generation.ended_at.is_not(None)).where(
            Generation.callback_token_hash == hash_token(token), Generation.provider == provider_name
        )
    ).first()
    if row is None:
        raise NotFound("No generation waits for this callback.")
    return _Addressee(*row)


def _follow(
    session: Session, callback_id: UUID, generation_id: UUID, provider: Provider, report: Report, now: datetime
) -> Receipt:
    """Let the job be fetched. Where it is not this generation's, the inbox says so beside the delivery."""
    problem = hints.follow(session, generation_id, report, now=now)
    if problem:
        session.execute(update(Callback).where(Callback.id == callback_id).values(detail=problem))
        return Receipt(callback_id, "waiting", problem)
    why = "incomplete" if provider.signed else "unsigned"
    return Receipt(callback_id, "waiting", f"{why}: the job is fetched before it counts")


def _masked(body: bytes, *secrets: str | None) -> bytes:
    """The body without what some providers echo in it: the address that we gave them, and the job's secret."""
    for secret in secrets:
        if secret and len(secret) >= LEAST_MASKED:
            body = body.replace(secret.encode(), MASK)
    return body


def _store(
    session: Session,
    addressee: _Addressee,
    provider_name: str,
    headers: Mapping[str, str],
    body: bytes,
    state: str,
    report: Report | None = None,
    detail: str = "",
) -> Receipt:
    delivery = (report.delivery if report else None) or hashlib.sha256(body).hexdigest()
    callback_id = uuid7()
    values: dict[str, Any] = {
        "id": callback_id,
        "generation_id": addressee.id,
        "customer_id": addressee.customer_id,
        "provider": provider_name,
        "delivery": delivery,
        "headers": {name: headers[name][:500].replace("\0", "") for name in KEPT_HEADERS if name in headers},
        "body": body,
        "parsed": reports.to_json(report) if report else None,
        "state": state,
        "detail": detail or None,
        "late": addressee.ended,
    }
    row = insert(Callback).values(values).on_conflict_do_nothing().returning(Callback.id)
    if session.execute(row).first() is None:
        state, detail = "duplicate", "delivered before"
        session.execute(insert(Callback).values(values | {"state": state, "detail": detail}))
    return Receipt(callback_id, state, detail)


def apply(
    session: Session, callback_id: UUID, generation_id: UUID, report: Report, terms: Terms, now: datetime
) -> Receipt:
    """Apply a genuine delivery, whose row this transaction has locked. Where that fails, it waits on."""
    try:
        with session.begin_nested():
            ended = generations.settle(session, generation_id, report, terms, at=now)
        state, detail = "applied", ended.change
    except Exception as error:
        log.exception("callback_not_applied", callback_id=str(callback_id))
        state, detail = "waiting", f"could not be applied yet: {type(error).__name__}"
        if report.outcome is Outcome.FAILED:
            alerts.raise_refund_failed(session, generation_id)
    session.execute(
        update(Callback)
        .where(Callback.id == callback_id)
        .values(state=state, detail=detail, applied_at=now if state == "applied" else None)
        .values(attempts=Callback.attempts + 1)
    )
    return Receipt(callback_id, state, detail)
