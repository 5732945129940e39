"""The vendored files are the ones that `static/vendor/README.md` names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "static/vendor/README.md"
LINE = re.compile(r"^\| `([^`]+)`.*`([0-9a-f]{64})` \|$", re.MULTILINE)


def test_every_vendored_file_has_the_recorded_checksum() -> None:
    recorded = dict(LINE.findall(README.read_text()))
    actual = {path: hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in recorded}
    assert actual == recorded


def test_no_vendored_file_is_unrecorded() -> None:
    recorded = {path for path, _ in LINE.findall(README.read_text())}
    present = {
        str(path.relative_to(ROOT))
        for folder in ("static/vendor", "tests/vendor")
        for path in (ROOT / folder).iterdir()
        if path != README
    }
    assert present == recorded


def test_the_vendor_record_carries_no_download_address() -> None:
    assert "://" not in README.read_text()
