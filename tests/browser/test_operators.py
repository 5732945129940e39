"""Operators, keys and one's own account in a real browser: codes, proofs asked in a dialog, every look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from extensions import db
from makegood import api_keys, invitations
from makegood.models import Operator, OperatorSession
from tests.browser.conftest import Site, Visitor, accessibility_problems, open_details, path_of
from tests.browser.test_pages import LOOKS, widths_beyond_the_screen
from tests.people import EMAIL, PASSWORD, add_key, add_operator, add_second_factor, log_in

ADMIN = "admin@example.com"
PAGES = (
    "/admin/operators",
    "/admin/operators/invite",
    "/admin/operators/{support}",
    "/admin/operators/{admin}",
    "/admin/api-keys",
    "/admin/api-keys/new",
    "/admin/account",
    "/admin/account/second-factor",
    "/admin/confirm?next=/admin/operators",
)


@pytest.fixture
def invitation(app: Flask) -> str:
    """An admin, a key, and the path of an open invitation."""
    add_operator(app, ADMIN)
    add_key(app, "platform")
    with app.app_context():
        now = datetime.now(UTC)
        token = invitations.send(db.session(), "zoe@example.com", "support", actor=ADMIN, now=now)[1]
        db.session.commit()
    return f"/invitations/{token}"


def become_admin(page: Page, site: Site) -> None:
    """The same browser, with a session of the admin."""
    client = site.app.test_client()
    log_in(client, ADMIN)
    cookie = client.get_cookie("makegood_session")
    assert cookie is not None
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site.url}])


def fill_log_in(page: Page, site: Site) -> None:
    page.goto(site.url + "/login")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_these_pages_are_accessible_and_fit_their_screen(
    visitor: Visitor, site: Site, invitation: str, width: str, theme: str
) -> None:
    add_second_factor(site.app)
    with site.app.app_context():
        ids = {o.role: str(o.id) for o in db.session.scalars(select(Operator))}
    visitor.expect("404")
    page = visitor.blank(width=width, theme=theme)
    fill_log_in(page, site)
    for path in ("/login/code", invitation, "/invitations/nonsense", *PAGES):
        if path == PAGES[0]:
            become_admin(page, site)
        page.goto(site.url + path.format(**ids))
        open_details(page)
        assert accessibility_problems(page) == [], path
        assert widths_beyond_the_screen(page) == 0, path


def test_a_dialog_asks_who_it_is_and_keeps_what_was_typed(visitor: Visitor, site: Site, invitation: str) -> None:
    visitor.expect("422")
    page = visitor.blank()
    become_admin(page, site)
    with site.app.app_context():
        db.session.execute(update(OperatorSession).values(confirmed_at=datetime.now(UTC) - timedelta(minutes=11)))
        db.session.commit()
    page.goto(site.url + "/admin/api-keys")
    page.get_by_role("link", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("the shop's backend")
    dialog.get_by_label("Platform").check()
    dialog.get_by_role("button", name="Make the key").click()
    expect(dialog.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    expect(dialog.get_by_label("Password")).to_be_focused()
    assert accessibility_problems(page) == []
    page.keyboard.type("wrong wrong wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert").filter(has_text="That is not right. Nothing was changed.")).to_be_visible()
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading", name="the shop's backend is ready")).to_be_visible()
    key = dialog.get_by_label("The key").first.input_value()
    dialog.get_by_role("button", name="Copy the key").click()
    assert page.evaluate("navigator.clipboard.readText()") == key
    with site.app.app_context():
        holder = api_keys.find(db.session(), key)
        assert holder
        assert (holder.name, holder.scopes) == ("the shop's backend", {"platform"})


def test_a_page_that_asks_who_it_is_goes_on_to_a_whole_page(visitor: Visitor, site: Site, invitation: str) -> None:
    visitor.expect("422")
    page = visitor.blank()
    become_admin(page, site)
    add_operator(site.app, "bea@example.com", "viewer")
    with site.app.app_context():
        bea = db.session.scalars(select(Operator.id).where(Operator.email == "bea@example.com")).one()

    def ask_again(path: str) -> None:
        with site.app.app_context():
            earlier = datetime.now(UTC) - timedelta(minutes=11)
            db.session.execute(update(OperatorSession).values(confirmed_at=earlier))
            db.session.commit()
        page.goto(site.url + path)

    def confirm(arrived: str) -> None:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm and go on").click()
        page.wait_for_url(site.url + arrived)
        expect(page.get_by_role("banner")).to_have_count(1)
        expect(page.get_by_role("heading", name="Confirm it is you")).to_have_count(0)

    ask_again("/admin/limits/change")
    page.get_by_label("Support: all given on a day").fill("3000")
    page.get_by_label("Why").fill("Christmas")
    page.get_by_role("button", name="Save the limits").click()
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="That is not right. Nothing was changed.")).to_be_visible()
    confirm("/admin/limits")
    ask_again(f"/admin/operators/{bea}")
    page.get_by_role("radio", name="Support").check()
    page.get_by_role("button", name="Change the role").click()
    confirm(f"/admin/operators/{bea}")
    ask_again("/admin/confirm?next=/admin/limits")
    confirm("/admin/limits")


def test_a_second_factor_is_set_up_and_used_without_javascript(visitor: Visitor, site: Site) -> None:
    page = visitor.blank(javascript=False)
    fill_log_in(page, site)
    page.goto(site.url + "/admin/account")
    page.get_by_role("link", name="Set up a second factor").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    box = page.get_by_role("img", name="QR code").bounding_box()
    assert box
    assert box["width"] > 150
    page.get_by_text("No camera? Type this key").click()
    phone = pyotp.TOTP(page.locator("details code").inner_text().replace(" ", ""))
    page.get_by_label("Type the code that the app shows").fill(phone.at(datetime.now(UTC) - timedelta(seconds=30)))
    page.get_by_role("button", name="Turn it on").click()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    page.goto(site.url + "/admin/account")
    page.context.clear_cookies()
    fill_log_in(page, site)
    assert path_of(page) == "/login/code"
    page.get_by_label("Code from your authenticator app").fill(phone.now())
    page.get_by_role("button", name="Log in", exact=True).click()
    assert path_of(page) == "/admin/"
    page.context.clear_cookies()
    fill_log_in(page, site)
    page.get_by_text("Lost your phone?").click()
    page.get_by_label("Recovery code").fill(codes[7])
    page.get_by_role("button", name="Log in with a recovery code").click()
    expect(page.get_by_text("You used a recovery code; 9 of them are left.")).to_be_visible()
    page.goto(site.url + "/admin/account")
    expect(page.get_by_text("9 recovery codes left")).to_be_visible()
