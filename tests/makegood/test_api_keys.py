from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import api_keys
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import ApiKey, AuditEntry

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_key_is_shown_once_and_stored_as_a_hash(session: Session) -> None:
    key, plain = api_keys.create(session, "backend", ["platform"], actor="tests")
    assert api_keys.KEY.fullmatch(plain)
    assert key.hint == plain[:11]
    row = session.execute(select(ApiKey.__table__)).one()
    assert plain not in repr(row)
    assert plain[11:] not in repr(row)


def test_a_key_is_found_with_its_scopes(session: Session) -> None:
    key, plain = api_keys.create(session, "both", ["stats", "platform", "stats"], actor="tests")
    found = api_keys.find(session, plain)
    assert found == api_keys.Holder(
        key_id=key.id, name="both", hint=key.hint, scopes=frozenset({"platform", "stats"})
    )


def test_what_is_no_key_is_not_found(session: Session) -> None:
    _, plain = api_keys.create(session, "backend", ["platform"], actor="tests")
    for wrong in ("", "mg_", plain[:-1], plain + "x", plain[3:], plain.swapcase(), "mg_" + "x" * 43, "\x00"):
        assert api_keys.find(session, wrong) is None


@pytest.mark.parametrize("scopes", [[], ["admin"], ["platform", "root"]])
def test_unknown_scopes_are_refused(session: Session, scopes: list[str]) -> None:
    with pytest.raises(Invalid, match="platform, stats"):
        api_keys.create(session, "backend", scopes, actor="tests")


@pytest.mark.parametrize("name", ["", " x", "a\x00b", "a\nb", "x" * 101])
def test_a_name_that_cannot_be_printed_is_refused(session: Session, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        api_keys.create(session, name, ["stats"], actor="tests")
    assert list(refused.value.details["fields"]) == ["name"]


def test_a_revoked_key_is_gone_at_once(session: Session) -> None:
    key, plain = api_keys.create(session, "backend", ["platform"], actor="tests")
    _, other = api_keys.create(session, "other", ["platform"], actor="tests")
    api_keys.revoke(session, key.hint, actor="tests", now=NOW)
    session.flush()
    assert api_keys.find(session, plain) is None
    assert api_keys.find(session, other)
    with pytest.raises(NotFound):
        api_keys.revoke(session, key.hint, actor="tests", now=NOW)


def test_a_hint_that_two_keys_share_revokes_neither(session: Session) -> None:
    keys = [api_keys.create(session, name, ["stats"], actor="tests")[0] for name in ("a", "b")]
    for key in keys:
        key.hint = "mg_same"
    with pytest.raises(Conflict):
        api_keys.revoke(session, "mg_same", actor="tests", now=NOW)
    assert [key.revoked_at for key in keys] == [None, None]


def test_making_and_revoking_a_key_is_audited_without_the_key(session: Session) -> None:
    key, plain = api_keys.create(session, "backend", ["platform"], actor="tests")
    api_keys.revoke(session, key.hint, actor="tests", now=NOW)
    entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("api_key.created", key.hint),
        ("api_key.revoked", key.hint),
    ]
    assert plain not in repr([entry.details for entry in entries])


def test_keys_are_listed_oldest_first_with_the_revoked_ones(session: Session) -> None:
    first, _ = api_keys.create(session, "first", ["stats"], actor="tests")
    second, _ = api_keys.create(session, "second", ["stats"], actor="tests")
    api_keys.revoke(session, first.hint, actor="tests", now=NOW)
    assert api_keys.listed(session) == [first, second]
