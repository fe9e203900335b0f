"""Escaping and numbers in words."""

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from dashboard.shared.words import ago, number, percent, plain


@given(st.text())
def test_escaped_text_reads_back_as_it_was(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", plain(text).replace("  \n", "\n")) == text


@given(st.text(alphabet="[]()!<>*_`$:~#a"))
def test_no_special_character_is_left_bare(text: str) -> None:
    assert not re.search(r"(?<!\\)[\[\]()!<>*_`$:~#]", re.sub(r"\\\\", "", plain(text)))


def test_numbers() -> None:
    assert [number(v) for v in (None, math.nan, math.inf, 0.12345, 1234567, 0)] == [
        "not defined",
        "not defined",
        "not defined",
        "0.123",
        "1,234,567",
        "0",
    ]


def test_shares_never_round_to_nothing_or_all() -> None:
    assert [percent(s) for s in (0.0, 1e-9, 0.25, 0.99999999, 1.0)] == [
        "0.00 %",
        "below 0.01 %",
        "25.00 %",
        "above 99.99 %",
        "100.00 %",
    ]


def test_durations() -> None:
    assert [ago(s) for s in (3, 600, 7200, 864000)] == ["3 s", "10 min", "2 h", "10 days"]
