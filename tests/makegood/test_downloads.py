"""Downloads: the one path on which a foreign address is fetched, attacked from every side that is known."""

from __future__ import annotations

import ast
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from makegood import addresses, connections, downloads
from makegood.downloads import DownloadFailed, DownloadRefused
from tests.loopback import Loopback

PUBLIC = "203.0.113.7"
"""An address for documentation: nothing is there."""
REALLY_PUBLIC = "8.8.8.8"
PICTURE = b"\x89PNG not really"

PRIVATE = (
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
    "not an address",
)


def fetch(link: str, **more: Any) -> bytes:
    with downloads.open_link(link, **more) as download:
        return b"".join(download.chunks)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that a connection was opened to: none, whatever happens in the test."""
    opened: list[str] = []

    def connect(self: object, host: str, port: int, **_: Any) -> None:
        opened.append(host)
        raise httpcore.ConnectError("this test connects to nothing")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    yield opened
    assert opened == []


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.usefixtures("never")
def test_a_host_is_refused_if_any_of_its_addresses_leads_inside(address: str) -> None:
    for found in ([address], [REALLY_PUBLIC, address], [address, REALLY_PUBLIC]):
        with pytest.raises(DownloadRefused, match="not public"):
            fetch("https://results.example/1.png", resolve=lambda host, port, found=found: found)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
    ],
)
@pytest.mark.usefixtures("never")
def test_however_a_loopback_host_is_written_it_is_refused(host: str) -> None:
    with pytest.raises((DownloadRefused, DownloadFailed)):
        fetch(f"https://{host}/1.png")


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://results.example/1.png", "not https"),
        ("ftp://results.example/1.png", "not https"),
        ("file:///etc/passwd", "names no host"),
        ("gopher://results.example/", "not https"),
        ("data:image/png;base64,AAAA", "names no host"),
        ("https://results.example:22/1.png", "another port"),
        ("https://results.example:8443/1.png", "another port"),
        ("https://user@results.example/1.png", "credentials"),
        ("https://user:secret@results.example/1.png", "credentials"),
        ("https://results.example@127.0.0.1/1.png", "credentials"),
        ("https:///1.png", "names no host"),
        ("//results.example/1.png", "not https"),
        ("1.png", "names no host"),
        ("", "names no host"),
        ("https://results.example\\@127.0.0.1/", "The output's link"),
        ("https://exa\tmple.com/", "."),
        ("https://results.example:99999/", "."),
        ("https://[::1/", "."),
    ],
)
@pytest.mark.usefixtures("never")
def test_an_address_of_another_kind_is_refused_before_anything_is_resolved(link: str, why: str) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was resolved")

    with pytest.raises(DownloadRefused, match=why):
        fetch(link, resolve=resolve)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    # A name that is public when it is checked and private a moment later: there is no second question.
    answers = iter([[REALLY_PUBLIC], ["127.0.0.1"]])
    opened = []

    def connect(self: object, host: str, port: int, **_: Any) -> None:
        opened.append((host, port))
        raise httpcore.ConnectError("as expected")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(DownloadFailed, match="ConnectError"):
        fetch("https://rebinding.example/1.png", resolve=lambda host, port: next(answers))
    assert opened == [(REALLY_PUBLIC, 443)]
    assert next(answers) == ["127.0.0.1"]


@pytest.mark.usefixtures("never")
def test_a_host_that_nobody_knows_is_a_failure_not_a_crash() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror("unknown")

    with pytest.raises(DownloadFailed, match="not known"):
        fetch("https://results.example/1.png", resolve=resolve)
    with pytest.raises(DownloadRefused):
        fetch("https://results.example/1.png", resolve=lambda host, port: [])


def certificate(tmp_path: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for this name, and the certificate that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "both.pem"
    encoded = signed.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + encoded)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, both


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str | None, bytes]]]:
    """results.example behind a public address: what it was asked, with the name that TLS was asked for."""
    asked: list[tuple[str | None, bytes]] = []
    context, trusted = certificate(tmp_path, "results.example")
    named: list[str | None] = []
    context.sni_callback = lambda stream, name, _: named.append(name)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with suppress(OSError, ssl.SSLError), context.wrap_socket(plain, server_side=True) as stream:
                    request = stream.recv(65536)
                    asked.append((named[-1], request))
                    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(PICTURE)}\r\n\r\n"
                    stream.sendall(head.encode() + PICTURE)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    real = httpcore.SyncBackend.connect_tcp
    where: dict[str, int] = {REALLY_PUBLIC: port}

    def connect(self: Any, host: str, port: int, **more: Any) -> Any:
        return real(self, "127.0.0.1", where[host], **more)

    client = ssl.create_default_context(cafile=str(trusted))
    monkeypatch.setattr(connections, "_tls", lambda: client)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    yield asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_a_checked_address_is_asked_under_the_hosts_own_name(tls_server: list[tuple[str | None, bytes]]) -> None:
    link = "https://results.example/a%20b/1.png?signature=x%2By"
    assert fetch(link, resolve=lambda host, port: [REALLY_PUBLIC]) == PICTURE
    [(name, request)] = tls_server
    assert name == "results.example"
    assert request.startswith(b"GET /a%20b/1.png?signature=x%2By HTTP/1.1\r\n")
    assert b"\r\nHost: results.example\r\n" in request
    assert b"uthorization" not in request
    assert b"ookie" not in request


def test_another_hosts_certificate_is_refused(tls_server: list[tuple[str | None, bytes]]) -> None:
    with pytest.raises(DownloadFailed, match="ConnectError"):
        fetch("https://other.example/1.png", resolve=lambda host, port: [REALLY_PUBLIC])


def answer(head: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)

    return send


def test_only_a_configured_origin_may_be_private_and_plain() -> None:
    with Loopback(answer("200 OK\r\nContent-Type: image/png\r\nContent-Length: 4", b"abcd")) as there:
        assert fetch(f"{there.url}/outputs/1.png", allowed_origin=there.url) == b"abcd"
        for link in (f"{there.url}/x", there.url.replace("http", "https") + "/x", "http://127.0.0.1:1/x"):
            with pytest.raises(DownloadRefused):
                fetch(link, allowed_origin="http://127.0.0.1:9" if link.startswith(there.url) else there.url)
        with pytest.raises(DownloadRefused):
            fetch(f"{there.url}/x")
        assert len(there.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/1.png",
        "https://2130706433/1.png",
        "http://127.0.0.1:1/1.png",
        "file:///etc/passwd",
        "https://user:secret@results.example/",
        "https://[::1]/",
        "//169.254.169.254/",
        "gopher://127.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(location: str) -> None:
    with Loopback(answer(f"302 Found\r\nLocation: {location}\r\nContent-Length: 0")) as there:
        with pytest.raises((DownloadRefused, DownloadFailed)):
            fetch(f"{there.url}/1.png", allowed_origin=there.url)
        assert len(there.requests) == 1


def test_redirects_are_followed_three_times_and_no_more() -> None:
    with Loopback(answer("307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0")) as there:
        with pytest.raises(DownloadRefused, match="too often"):
            fetch(f"{there.url}/1.png", allowed_origin=there.url)
        assert [request.path for request in there.requests] == ["/1.png", "/again", "/again", "/again"]


def test_a_body_beyond_the_limit_is_cut_whatever_its_length_claims() -> None:
    heads = (
        "200 OK\r\nContent-Type: image/png\r\nContent-Length: 1001",
        "200 OK\r\nContent-Type: image/png",
        "200 OK\r\nContent-Type: image/png\r\nContent-Length: 99999999999999999999",
    )
    for head in heads:
        with Loopback(answer(head, b"x" * 1001)) as there, pytest.raises(DownloadFailed):
            fetch(f"{there.url}/1.png", allowed_origin=there.url, max_bytes=1000)
    with Loopback(answer("200 OK\r\nContent-Type: image/png", b"x" * 1000)) as there:
        assert len(fetch(f"{there.url}/1.png", allowed_origin=there.url, max_bytes=1000)) == 1000


def test_a_body_shorter_than_its_length_claims_is_a_failure() -> None:
    head = "200 OK\r\nContent-Type: image/png\r\nContent-Length: 2000"
    with Loopback(answer(head, b"x" * 1000)) as there, pytest.raises(DownloadFailed):
        fetch(f"{there.url}/1.png", allowed_origin=there.url)


def test_what_follows_a_body_beyond_its_claimed_length_is_not_read() -> None:
    with Loopback(answer("200 OK\r\nContent-Type: image/png\r\nContent-Length: 4", b"abcdEVIL")) as there:
        assert fetch(f"{there.url}/1.png", allowed_origin=there.url) == b"abcd"


@pytest.mark.parametrize("slow", ["head", "body"])
def test_whoever_trickles_is_cut_off_in_time(slow: str) -> None:
    def trickle(connection: socket.socket) -> None:
        if slow == "body":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.02)

    started = time.monotonic()
    with Loopback(trickle) as there, pytest.raises(DownloadFailed, match="ReadTimeout"):
        fetch(f"{there.url}/1.png", allowed_origin=there.url, seconds=0.3)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("head", "error"),
    [
        ("200 OK\r\nContent-Type: text/html", DownloadRefused),
        ("200 OK\r\nContent-Type: application/json", DownloadRefused),
        ("200 OK", DownloadRefused),
        ("200 OK\r\nContent-Type: imagine/png", DownloadRefused),
        ("200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip", DownloadRefused),
        ("404 Not Found\r\nContent-Type: image/png", DownloadFailed),
        ("500 Oops\r\nContent-Type: image/png", DownloadFailed),
        ("206 Partial Content\r\nContent-Type: image/png", DownloadFailed),
    ],
)
def test_only_a_plain_picture_video_or_sound_comes_through(head: str, error: type[Exception]) -> None:
    with Loopback(answer(head, b"<script>")) as there, pytest.raises(error):
        fetch(f"{there.url}/1.png", allowed_origin=there.url)


def test_nothing_else_in_the_code_opens_connections() -> None:
    root = Path(downloads.__file__).parents[1]
    clients = {"httpx", "httpcore", "requests", "urllib3", "aiohttp", "http", "socket", "ssl"}
    found: dict[str, set[str]] = {}
    for path in [*root.glob("*.py"), *(root / "makegood").rglob("*.py"), *(root / "blueprints").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                if name.partition(".")[0] in clients and name.partition(".")[2] not in (
                    "HTTPStatus",
                    "HTTPStatus.HTTPStatus",
                ):
                    found.setdefault(str(path.relative_to(root)), set()).add(name)
                if name.startswith("urllib.request"):
                    found.setdefault(str(path.relative_to(root)), set()).add(name)
    found = {path: names - {"http"} for path, names in found.items() if names - {"http"}}
    assert found == {
        "makegood/addresses.py": {"socket"},
        "makegood/connections.py": {"httpcore", "httpx", "ssl"},
        "makegood/downloads.py": {"httpcore", "httpx"},
        "makegood/providers/http.py": {"httpx", "ssl"},
    }
