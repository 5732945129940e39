"""Secrets of jobs."""

from __future__ import annotations

import re

import pytest

from makegood.providers import job_secrets
from makegood.providers.protocol import CallbackRejected


def test_a_secret_belongs_to_one_job_and_one_configured_secret() -> None:
    made = {job_secrets.derive(secret, token) for secret in ("a", "b", "ключ") for token in ("x", "y", "")}
    assert len(made) == 9
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in made)
    assert job_secrets.derive("a", "x") == job_secrets.derive("a", "x")


def test_a_new_job_is_given_the_newest_and_older_ones_are_still_accepted() -> None:
    assert job_secrets.newest(" new ,old,", "x") == job_secrets.derive("new", "x")
    assert job_secrets.accepted("new,old", "x") == [job_secrets.derive("new", "x"), job_secrets.derive("old", "x")]


@pytest.mark.parametrize("nothing", [None, "", " ", ",", "whsec_", ", whsec_ ,"])
def test_of_nothing_no_secret_is_made(nothing: str | None) -> None:
    assert job_secrets.newest(nothing, "x") is None
    with pytest.raises(CallbackRejected, match="no webhook secret"):
        job_secrets.accepted(nothing, "x")


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("https://m.example/callbacks/bfl/abc-_", "abc-_"),
        ("https://m.example/below/callbacks/bfl/abc?a=/b", "abc"),
        ("", ""),
    ],
)
def test_the_token_is_what_the_path_of_the_callback_address_ends_with(address: str, token: str) -> None:
    assert job_secrets.token_of(address) == token
