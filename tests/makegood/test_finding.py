"""Finding one thing by an exact id."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from makegood import customers, finding
from makegood.finding import Found
from tests.making import TERMS, FakeProvider, make_customer, make_generation


def test_a_generation_is_found_by_its_id_and_by_its_provider_s_job(session: Session) -> None:
    customer = make_customer(session)
    generation_id = make_generation(session, customer, job="job-abc")
    assert finding.find(session, str(generation_id)) == Found(generation_id=generation_id)
    assert finding.find(session, generation_id.hex.upper()) == Found(generation_id=generation_id)
    assert finding.find(session, "job-abc") == Found(generation_id=generation_id)


def test_the_newest_of_several_generations_with_one_job_is_found(session: Session) -> None:
    customer = make_customer(session)
    make_generation(session, customer, job="job-abc")
    newest = make_generation(session, customer, job="job-abc", provider=FakeProvider(name="simulated"))
    assert finding.find(session, "job-abc") == Found(generation_id=newest)


def test_a_customer_is_found_by_id_and_by_an_e_mail_address_that_is_its_alone(session: Session) -> None:
    for name, email in (("anna", "Anna@Example.com"), ("bert", "b@example.com"), ("cora", "b@example.com")):
        customers.upsert(session, name, email=email, tier="free", timezone=TERMS.timezone)
    assert finding.find(session, "anna") == Found(customer_id="anna")
    assert finding.find(session, "anna@example.com") == Found(customer_id="anna")
    assert finding.find(session, "b@example.com") is None


@pytest.mark.parametrize("wanted", ["", "ann", "\0", "x" * 201, "%", "00000000-0000-0000-0000-000000000000"])
def test_what_is_no_id_finds_nothing(session: Session, wanted: str) -> None:
    customers.upsert(session, "anna", email=None, tier="free", timezone=TERMS.timezone)
    assert finding.find(session, wanted) is None
