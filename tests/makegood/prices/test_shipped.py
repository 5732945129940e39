"""What ships in the price book, and what becomes of a book that is older than versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from flask_migrate import upgrade
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.orm import Session

from app import create_app
from extensions import db
from makegood import books
from makegood.models import CreditPrice, Price
from makegood.prices import book
from makegood.prices.lines import UNITS, Line, entry_of, fields_of
from makegood.prices.reading import read
from tests.conftest import environment

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SHIPPED = [
    ("luma", "ray-2", "run", "720p 5s", 1, 710_000, "reported"),
    ("luma", "ray-2", "run", "720p 9s", 1, 1_270_000, "reported"),
    ("luma", "ray-2", "run", "4k 5s", None, None, None),
    ("luma", "ray-1-6", "run", "", 1, 350_000, "reported"),
    ("luma", "photon-flash-1", "image", "", 1, 1_900, "reported"),
    ("kling", "text2video/kling-v3", "unit", "", 1, 140_000, "inferred"),
    ("bfl", "flux-2-pro", "credit", "", 1, 10_000, "documented"),
    ("elevenlabs", "eleven_v3", "character", "", 1000, 100_000, "reported"),
    ("nanobanana", "nano-banana-2", "image", "2K", 1, 60_000, "reported"),
    ("nanobanana", "nano-banana-pro", "image", "4K", None, None, None),
    ("wavespeed", "bytedance/seedream-v4", "image", "", 1, 27_000, "documented"),
    ("piapi", "luma", "point", "", None, None, None),
    ("newport", "lipsync", "credit", "", None, None, None),
    ("fal", "fal-ai/flux", "unit", "", None, None, None),
    ("replicate", "acme/painter", "second", "", None, None, None),
]
FIND = text("SELECT per, unit_price_micros, certainty FROM find_price(:provider, :model, :unit, :qualifier, :at)")


@pytest.mark.parametrize("line", SHIPPED, ids=lambda line: " ".join(line[:4]))
def test_the_known_prices_ship_and_the_others_are_unknown(session: Session, line: tuple[str, ...]) -> None:
    names = dict(zip(("provider", "model", "unit", "qualifier"), line[:4], strict=True))
    found = session.execute(FIND, names | {"at": NOW}).first()
    assert (tuple(found) if found else (None, None, None)) == line[4:]


def test_every_shipped_line_says_where_it_is_from_and_can_be_exported(session: Session) -> None:
    for price in book.versions(session):
        assert read(fields_of(entry_of(price))) == entry_of(price)
        assert price.unit in UNITS


def test_nanobanana_sells_credits_of_half_a_cent(session: Session) -> None:
    [price] = book.line(session, Line("nanobanana", "nano-banana-2", "image", "1K")).versions
    assert (price.currency, price.amount_micros, price.rate_micros) == ("credits", 8_000_000, 5_000)


def test_every_model_s_credit_price_covers_what_a_usual_generation_costs(session: Session) -> None:
    prices = {(price.provider, price.model): price.credits for price in session.scalars(select(CreditPrice))}
    assert prices["luma", "ray-2"] == 36  # 71 cents, two for a credit
    assert prices["elevenlabs", "eleven_v3"] == 5
    assert prices["bfl", "flux-2-pro"] == 2
    assert prices["wavespeed", "bytedance/seedream-v4"] == 2


@pytest.fixture
def old_database(server: str) -> Iterator[str]:
    """A database as it was before prices had versions, with prices that somebody added then."""
    address = make_url(server).set(drivername="postgresql", database="postgres")
    plain = address.render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE DATABASE makegood_old TEMPLATE template0")
    url = make_url(server).set(database="makegood_old").render_as_string(hide_password=False)
    app = create_app(environment(url))
    with app.app_context():
        upgrade(revision="0001")
        for day, micros in ((1, 40_000), (15, 50_000)):
            db.session.execute(
                text(
                    "INSERT INTO prices (id, provider, model, unit, unit_price_micros, effective_from, source) "
                    "VALUES (make_uuid7(), 'wavespeed', 'acme/painter', 'image', :micros, :at, 'list')"
                ),
                {"micros": micros, "at": datetime(2026, 11, day, tzinfo=UTC)},
            )
        db.session.commit()
        upgrade()
        db.session.remove()
        db.engine.dispose()
    yield url
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("DROP DATABASE makegood_old WITH (FORCE)")


def test_prices_that_were_added_before_become_versions_that_follow_each_other(old_database: str) -> None:
    engine = create_engine(old_database)
    with Session(engine) as session:
        held = book.line(session, Line("wavespeed", "acme/painter", "image")).held
        change = datetime(2026, 11, 15, tzinfo=UTC)
        assert [(p.version, p.amount_micros, p.effective_to) for p in held] == [
            (1, 40_000, change),
            (2, 50_000, None),
        ]
        assert session.scalars(select(Price).where(Price.unit.like("image\\_%"))).all() == []
        assert books.violations(session) == []
    engine.dispose()
