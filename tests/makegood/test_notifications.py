"""Notifications: every end is told, in the end's own transaction, signed, until the platform has taken it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from makegood import alerts, generations, notifications, reconcile
from makegood.errors import Conflict, NotFound
from makegood.generations import external
from makegood.ids import uuid7
from makegood.models import AuditEntry, Notification
from makegood.notifications import RETRIES, Due, Result
from makegood.providers.external import EXTERNAL, External
from makegood.providers.protocol import Accepted, ErrorClass, File, Outcome, Report
from tests.loopback import Loopback, free_port
from tests.making import FAILURE, SUCCESS, TERMS, FakeProvider, make_customer, make_generation, reserve

TOLD = replace(TERMS, notify=True)
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
SOON = timedelta(seconds=1)
REFUSED = Result(500, "HTTP 500")


def events(session: Session, generation_id: UUID) -> list[str]:
    query = select(Notification.event).where(Notification.generation_id == generation_id).order_by(Notification.id)
    return list(session.scalars(query))


def told(session: Session) -> UUID:
    """A generation that ended, with its notification."""
    one = make_generation(session, make_customer(session))
    generations.settle(session, one, SUCCESS, TOLD)
    return one


def take(session: Session, at: datetime | None = None) -> Due:
    [due] = notifications.claim(session, limit=10, at=at or datetime.now(UTC) + SOON)
    return due


def test_every_end_is_told_once_and_nothing_is_without_an_address(session: Session) -> None:
    customer_id = make_customer(session)
    ends = {"succeeded": SUCCESS, "failed": FAILURE}
    for event, report in ends.items():
        one = make_generation(session, customer_id)
        for _ in range(3):
            generations.settle(session, one, report, TOLD)
        assert events(session, one) == [event]
    cancelled = make_generation(session, customer_id)
    generations.cancel(session, cancelled, TOLD, actor="test")
    assert events(session, cancelled) == ["cancelled"]
    refused = reserve(session, customer_id).generation_id
    generations.fail(session, refused, ErrorClass.INVALID_INPUT, "no", TOLD, refused=True)
    assert events(session, refused) == ["failed"]
    quiet = make_generation(session, customer_id, status="succeeded")
    assert events(session, quiet) == []


def test_a_timeout_is_told_and_then_its_late_outcome_once(session: Session) -> None:
    one = make_generation(session, make_customer(session))
    past = datetime.now(UTC) + TOLD.deadline + SOON
    [claimed] = reconcile.claim(session, at=past)
    assert reconcile.decide(session, claimed, None, TOLD, at=past) == "timeout"
    for _ in range(2):
        generations.settle(session, one, SUCCESS, TOLD)
        generations.settle(session, one, FAILURE, TOLD)
    assert events(session, one) == ["failed", "late_outcome"]


def test_a_result_in_the_submits_own_answer_and_one_of_the_platforms_own_are_told(session: Session) -> None:
    customer_id = make_customer(session)
    one = reserve(session, customer_id).generation_id
    spoken = Report(Outcome.SUCCEEDED, files=(File("audio/mpeg", b"x"),))
    generations.record_submit(session, one, Accepted("r", report=spoken), TOLD)
    assert events(session, one) == ["succeeded"]
    provider = FakeProvider(name=EXTERNAL)
    assert External().name == EXTERNAL
    own = reserve(session, customer_id, provider=provider, credits=1, model="own/model").generation_id
    assert external.report(session, own, FAILURE, TOLD)
    assert events(session, own) == ["failed"]


def test_the_notification_is_part_of_the_ends_own_transaction(session: Session) -> None:
    one = make_generation(session, make_customer(session))
    with session.begin_nested() as nested:
        generations.settle(session, one, SUCCESS, TOLD)
        nested.rollback()
    assert events(session, one) == []
    generations.settle(session, one, SUCCESS, TOLD)
    with pytest.raises(IntegrityError, match="uq_notifications_event"), session.begin_nested():
        session.execute(insert(Notification).values(generation_id=one, event="succeeded"))


def test_the_message_is_signed_as_the_standard_says(session: Session) -> None:
    one = told(session)
    due = take(session)
    message = notifications.body(due, {"id": str(one), "outputs": ["https://r.example/ü"]})
    sent = json.loads(message)
    assert sent["type"] == "generation.succeeded"
    assert sent["data"] == {"id": str(one), "outputs": ["https://r.example/ü"]}
    assert datetime.fromisoformat(sent["timestamp"]) == due.created_at.replace(
        microsecond=due.created_at.microsecond // 1000 * 1000
    )
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    headers = notifications.headers(due, message, (SECRET, OTHER), at)
    assert headers["webhook-id"] == f"msg_{due.id.hex}"
    assert headers["webhook-timestamp"] == str(int(at.timestamp()))
    # Written independently: the base64 of HMAC-SHA256 of id.timestamp.body, one for each secret.
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + message
    expected = [hmac.new(key, signed, hashlib.sha256).digest() for key in (b"k" * 24, b"o" * 32)]
    assert headers["webhook-signature"].split(" ") == [f"v1,{base64.b64encode(one).decode()}" for one in expected]


def test_what_is_not_taken_is_tried_nine_times_more_then_given_up_with_an_alert(session: Session) -> None:
    one = told(session)
    at = datetime.now(UTC) + SOON
    waits = []
    while due := notifications.claim(session, limit=1, at=at):
        assert notifications.claim(session, limit=1, at=at) == []  # leased
        notifications.record(session, due[0], REFUSED, at=at)
        row = session.scalars(select(Notification).where(Notification.generation_id == one)).one()
        session.refresh(row)
        if row.next_at is None:
            break
        assert alerts.open_alerts(session) == []
        waits.append(row.next_at - at)
        at = row.next_at
    assert tuple(waits) == RETRIES
    assert (row.attempts, row.answer, row.delivered_at) == (10, "HTTP 500", None)
    [alert] = alerts.open_alerts(session)
    assert (alert.kind, alert.subject) == ("notification_failed", "platform")
    [listed] = notifications.FAILING.page(session).rows
    assert (listed.generation_id, listed.event, listed.attempts, listed.next_at) == (one, "succeeded", 10, None)


def test_a_receiver_that_is_gone_is_asked_no_more(session: Session) -> None:
    told(session)
    notifications.record(session, take(session), Result(410, "HTTP 410"))
    assert notifications.claim(session, limit=1, at=datetime.now(UTC) + timedelta(days=30)) == []
    assert len(alerts.open_alerts(session)) == 1


@pytest.mark.parametrize(
    ("status", "delivered"), [(200, True), (204, True), (299, True), (301, False), (400, False)]
)
def test_only_2xx_is_a_delivery(session: Session, status: int, delivered: bool) -> None:
    told(session)
    notifications.record(session, take(session), Result(status, f"HTTP {status}"))
    again = notifications.claim(session, limit=1, at=datetime.now(UTC) + timedelta(days=30))
    assert (again == []) is delivered
    assert len(notifications.FAILING.page(session).rows) == (0 if delivered else 1)


def test_a_slow_workers_failure_does_not_undo_anothers_delivery(session: Session) -> None:
    told(session)
    slow = take(session)
    quick = take(session, at=datetime.now(UTC) + notifications.LEASE + 2 * SOON)
    assert quick.id == slow.id
    notifications.record(session, quick, Result(200, "HTTP 200"))
    notifications.record(session, slow, REFUSED)
    assert session.scalars(select(Notification.answer)).all() == ["HTTP 200"]
    assert notifications.claim(session, limit=1, at=datetime.now(UTC) + timedelta(days=30)) == []


def test_what_was_delivered_long_ago_is_forgotten_and_nothing_else(session: Session) -> None:
    delivered = told(session)
    notifications.record(session, take(session), Result(200, "HTTP 200"))
    refused = told(session)
    notifications.record(session, take(session), REFUSED)
    now = datetime.now(UTC)
    assert notifications.forget(session, before=now - notifications.KEEP) == 0
    assert notifications.forget(session, before=now + SOON) == 1
    assert (events(session, delivered), events(session, refused)) == ([], ["succeeded"])


def test_an_operator_sends_a_failed_one_again_and_it_is_audited(session: Session) -> None:
    one = told(session)
    due = take(session)
    notifications.record(session, due, Result(410, "HTTP 410"))
    notifications.send_again(session, due.id, actor="ana@example.com", address="192.0.2.1")
    session.flush()
    entry = session.scalars(select(AuditEntry).where(AuditEntry.subject == f"generation:{one}")).one()
    assert (entry.actor, entry.action, entry.address) == (
        "ana@example.com",
        "notification.sent_again",
        "192.0.2.1",
    )
    assert entry.details == {"event": "succeeded", "attempts_before": 1, "answer_before": "HTTP 410"}
    again = take(session)
    assert (again.id, again.attempts) == (due.id, 1)
    notifications.record(session, again, Result(200, "HTTP 200"))
    with pytest.raises(Conflict, match="was not sent again"):
        notifications.send_again(session, due.id, actor="ana@example.com")
    with pytest.raises(NotFound):
        notifications.send_again(session, uuid7(), actor="ana@example.com")


def test_a_delivery_is_one_post_and_follows_no_redirect() -> None:
    with Loopback((204, b"")) as there:
        assert notifications.post(f"{there.url}/hook", {"webhook-id": "m"}, b"{}") == Result(204, "HTTP 204")
        there.headers = {"Location": f"{there.url}/elsewhere"}
        there.answer = (302, b"")
        assert not notifications.post(f"{there.url}/hook", {}, b"{}").delivered
        assert [(request.method, request.path) for request in there.requests] == [("POST", "/hook")] * 2
        assert there.requests[0].body == b"{}"


def test_a_receiver_that_is_away_or_endlessly_slow_costs_a_limited_time() -> None:
    assert notifications.post(f"http://127.0.0.1:{free_port()}/", {}, b"{}").answer == "no answer (ConnectError)"

    def trickle(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.02)

    started = time.monotonic()
    with Loopback(trickle) as there:
        assert notifications.post(there.url, {}, b"{}", seconds=0.2).status is None
    assert time.monotonic() - started < 2


def test_workers_side_by_side_deliver_each_notification_once(engine: Engine) -> None:
    with Session(engine) as session:
        customer_id = make_customer(session, 500)
        for _ in range(60):
            generations.settle(session, make_generation(session, customer_id), SUCCESS, TOLD)
        session.commit()
    delivered: list[UUID] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(timeout=30)
        with Session(engine) as session:
            while due := notifications.claim(session, limit=7, at=datetime.now(UTC) + SOON):
                session.commit()
                for one in due:
                    delivered.append(one.generation_id)
                    notifications.record(session, one, Result(200, "HTTP 200"))
                    session.commit()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert len(delivered) == len(set(delivered)) == 60
