"""A real Chromium against the real application on a sample account, under our own content security policy."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wsgi import ClosingIterator

from app import create_app
from extensions import db
from tests.browser import sample
from tests.browser.sample import Sample
from tests.conftest import administer, environment
from tests.one_app import leave
from tests.people import EMAIL, add_operator, log_in

HERE = Path(__file__).parent
AXE = (HERE.parent / "vendor/axe-4.14.1.min.js").read_text()
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"desktop": (1280, 900), "phone": (360, 740)}
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")  # its event loop must not run when other tests start theirs
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("The browser's tests need Chromium; on Debian or Ubuntu: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sample_database(server: str) -> Iterator[tuple[str, Sample]]:
    """The name of a database with the sample account, to clone from, and what is in it."""
    name = f"makegood_sample_{os.getpid()}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE makegood_template_{os.getpid()}")
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    app = create_app(environment(url))
    engine = create_engine(url)
    with Session(engine) as session:
        made = sample.make(session, app.extensions["providers"]["wavespeed"])
    engine.dispose()
    add_operator(app, role="support")
    with app.app_context():
        db.engine.dispose()
    yield name, made
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(request: pytest.FixtureRequest, server: str) -> Iterator[str]:
    """A fresh copy of the sample account; `app` runs on it. Parametrized with "empty", a new account."""
    template = f"makegood_template_{os.getpid()}"
    if getattr(request, "param", None) != "empty":
        template = request.getfixturevalue("sample_database")[0]
    with _copy(server, template) as url:
        yield url


@pytest.fixture
def account(sample_database: tuple[str, Sample]) -> Sample:
    """What the sample account has that tests open."""
    return sample_database[1]


class Site:
    """The application behind a real port, which can go away and come back."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.port = 0
        self._running = 0
        self._idle = threading.Condition()
        self.start()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer requests, on the same port as before."""
        self._server: BaseWSGIServer = make_server("127.0.0.1", self.port, self._answer, threaded=True)
        self._server.log = lambda *_: None  # type: ignore[method-assign]
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._idle:
            assert self._idle.wait_for(lambda: self._running == 0, timeout=10)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        """Answer a request, and know while the application works on it: until a streamed answer is sent.

        The server's own reading of what a browser still sends, which may last, is not the application's work.
        """
        with self._idle:
            self._running += 1
        try:
            with closing(ClosingIterator(self.app(environ, start_response))) as answer:
                yield from itertools.chain(answer)  # which is not closed by `yield from` as well
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()


@pytest.fixture
def site(app: Flask) -> Iterator[Site]:
    """The application, running."""
    site = Site(app)
    yield site
    site.stop()


class Visitor:
    """Opens pages as an operator, and keeps what the browser complains about."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self.browser, self.site = browser, site
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        self._expected: list[str] = []

    def open(
        self,
        path: str = "/admin/",
        *,
        width: str = "desktop",
        theme: str = "light",
        javascript: bool = True,
        logged_in: bool = True,
        clock: bool = False,
    ) -> Page:
        """A new browser profile on this page. With `clock` the test moves the page's time."""
        page = self.blank(width=width, theme=theme, javascript=javascript)
        if logged_in:
            page.context.add_cookies([self._session_cookie()])  # type: ignore[list-item]
        if clock:
            page.clock.install()
        page.goto(self.site.url + path)
        return page

    def phone(self, path: str) -> Page:
        """A new browser profile on this page, on a screen that is touched."""
        page = self.blank(width="phone", touch=True)
        page.context.add_cookies([self._session_cookie()])  # type: ignore[list-item]
        page.goto(self.site.url + path)
        return page

    def blank(
        self, *, width: str = "desktop", theme: str = "light", javascript: bool = True, touch: bool = False
    ) -> Page:
        """A new browser profile."""
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        context = self.browser.new_context(
            viewport=size,  # type: ignore[arg-type]
            color_scheme=theme,  # type: ignore[arg-type]
            java_script_enabled=javascript,
            has_touch=touch,
            is_mobile=touch,
            locale="en-GB",
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(8000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type != "log" and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def expect(self, *patterns: str) -> None:
        """Complaints that belong to what the test does."""
        self._expected += patterns

    def unexpected(self) -> list[str]:
        """Complaints that nobody expected: content security policy, scripts' errors, missing files."""
        return [text for text in self.complaints if not any(re.search(known, text) for known in self._expected)]

    def _session_cookie(self, email: str = EMAIL) -> dict[str, str]:
        """The cookie of an operator who has just logged in."""
        client = self.site.app.test_client()
        log_in(client, email)
        cookie = client.get_cookie("makegood_session")
        assert cookie is not None
        return {"name": cookie.key, "value": cookie.value, "url": self.site.url}


@pytest.fixture
def visitor(chromium: Browser, site: Site) -> Iterator[Visitor]:
    """An operator's browser. Afterwards nothing may have been complained about."""
    visitor = Visitor(chromium, site)
    yield visitor
    for context in visitor.contexts:
        context.close()
    assert visitor.unexpected() == []


class Spectator(Visitor):
    """Looks at many pages of a site that nobody changes, with one browser profile for each look."""

    def __init__(self, browser: Browser, site: Site) -> None:
        super().__init__(browser, site)
        self._pages: dict[tuple[str, str, bool], Page] = {}

    def look_at(self, path: str, *, width: str, theme: str, logged_in: bool = True) -> Page:
        """This page, in the profile that was here before with the same look."""
        look = (width, theme, logged_in)
        if look in self._pages:
            self._pages[look].goto(self.site.url + path)
        else:
            self._pages[look] = self.open(path, width=width, theme=theme, logged_in=logged_in)
        return self._pages[look]

    def forget(self) -> None:
        """Leave the pages, so that they complain no more, and forget what they complained about."""
        for page in self._pages.values():
            page.goto("about:blank")
        self.complaints.clear()
        self._expected.clear()


@pytest.fixture(scope="module")
def shared_site(
    server: str, sample_database: tuple[str, Sample], templates: FileSystemBytecodeCache
) -> Iterator[Site]:
    """The sample account, running for all tests of a module that only look at it."""
    with _copy(server, sample_database[0]) as url:
        app = create_app(environment(url))
        app.jinja_env.bytecode_cache = templates
        site = Site(app)
        yield site
        site.stop()
        leave(app)


@pytest.fixture(scope="module")
def shared_profiles(chromium: Browser, shared_site: Site) -> Iterator[Spectator]:
    """The browser profiles that these tests look with."""
    spectator = Spectator(chromium, shared_site)
    yield spectator
    for context in spectator.contexts:
        context.close()


@pytest.fixture
def spectator(shared_profiles: Spectator) -> Iterator[Spectator]:
    """An operator's browser that only looks. Afterwards nothing may have been complained about."""
    yield shared_profiles
    complaints = shared_profiles.unexpected()
    shared_profiles.forget()
    assert complaints == []


def accessibility_problems(page: Page) -> list[str]:
    """What axe finds on the page as it is now."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def open_details(page: Page) -> None:
    """Open every `details` that can be seen; by script, because one that is open may cover the next."""
    page.evaluate(
        """() => {
            const summaries = [...document.querySelectorAll("details > summary")];
            const seen = summaries.filter(it => it.checkVisibility({visibilityProperty: true}));
            seen.forEach(it => { it.parentElement.open = true; });
        }"""
    )


def path_of(page: Page) -> str:
    """Where the page is, without the host."""
    return urlsplit(page.url).path


@contextmanager
def _copy(server: str, template: str) -> Iterator[str]:
    """The URL of a copy of this database, dropped afterwards."""
    name = f"makegood_browser_{os.getpid()}_{next(_numbers)}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")
