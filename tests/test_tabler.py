"""The style sheet that is made of Tabler has every rule that a page can match."""

from __future__ import annotations

from tools import tabler


def test_the_sheet_has_every_rule_that_a_template_may_use() -> None:
    assert tabler.missing() == [], "Make it anew: python -m tools.tabler"


def test_a_rule_is_kept_for_a_class_that_is_used_and_dropped_for_one_that_is_not() -> None:
    rules = tabler._parse(".btn,.nothing-of-ours{color:red}@media print{.nothing-of-ours{color:blue}}h1{margin:0}")
    assert list(tabler._kept(rules, frozenset({"btn"}))) == [(".btn", "color:red"), ("h1", "margin:0")]


def test_declarations_with_brackets_and_strings_stay_whole() -> None:
    body = 'background:url("data:image/svg+xml;a");color:color-mix(in srgb, var(--a, var(--b)) 20%, transparent)'
    names = [name for name, _ in tabler._declarations(body)]
    assert names == ["background", "color"]
