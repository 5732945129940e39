"""Links to results, wherever a model puts them."""

from __future__ import annotations

from typing import Any

import pytest

from makegood.providers import output_links

A, B, C = "https://x/a.png", "https://x/b.png", "http://x/c.mp4"


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ({"images": [{"url": A, "width": 1}, {"url": B}]}, (A, B)),
        ({"video": {"url": C}, "seed": 1, "prompt": "https://x/not-a-file"}, (C,)),
        ({"a": {"b": [{"c": {"url": A}}]}}, (A,)),
        ({"image": {"url": A}, "images": [{"url": A}, {"url": B}]}, (A, B)),
        ({"url": A}, (A,)),
        ({"image": {"url": "data:image/png;base64,AA"}, "file": {"url": "file:///etc/passwd"}}, ()),
        ({"image": {"url": 7}, "images": {"url": None, "inner": [{"url": A}]}}, (A,)),
        ({"a": {"b": {"c": {"d": {"e": {"url": A}}}}}}, ()),
        ({}, ()),
        ([], ()),
        (None, ()),
        ("https://x/a.png", ()),
    ],
)
def test_files_are_objects_with_a_url(result: Any, found: tuple[str, ...]) -> None:
    assert output_links.files(result) == found


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ({"video_url": C, "image_url": A, "cover": B}, (A, C)),
        ({"image_urls": [A, B, A]}, (A, B)),
        ({"works": [{"video": {"url": C, "cover": A}}]}, (C,)),
        ({"image_url": ["", None, 7, {"url": A}]}, (A,)),
        ({"nothing": A}, ()),
        ({"image_url": {"image_url": {"image_url": {"image_url": {"image_url": A}}}}}, ()),
        ({}, ()),
    ],
)
def test_named_fields_are_followed_in_the_order_of_the_names(result: Any, found: tuple[str, ...]) -> None:
    assert output_links.named(result, ("image_url", "image_urls", "works", "video", "video_url", "url")) == found


def test_of_very_many_links_only_some_are_taken() -> None:
    assert len(output_links.files([{"url": f"https://x/{number}"} for number in range(1000)])) == 50
