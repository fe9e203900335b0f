"""Columns of obs as text: what a label says before anybody asks what it names."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pandas as pd

NO_LABEL = {"", "nan", "none", "na", "n/a", "<na>", "null"}
"""Texts, in small letters, that stand for a missing label."""

JOINTS = re.compile(r"\s*(?:\+|\|+|;+|,+|&+|/+|~+)\s*|[\s_]+and[\s_]+")
"""What joins the genes of a combination and never stands in the name of one (but for '+')."""

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"))
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_WRITTEN_BYTES = re.compile(r"""b(['"])(.*)\1""", re.DOTALL)


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; said so, because pandas cannot know that column names are unique."""
    return cast("pd.Series", frame[name])


def text_of_value(value: Any) -> str:
    """A value as stripped text; bytes are decoded, also those that were written as text (b'STAT1')."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    text = str(value).strip()
    written = _WRITTEN_BYTES.fullmatch(text)
    return written[2].strip() if written else text


def tidy(label: str) -> str:
    """A label with plain hyphens and spaces for typographic ones, and nothing invisible in it."""
    if label.isascii():  # nearly all are, and there may be many
        return " ".join(label.split())
    label = _INVISIBLE.sub("", label.translate(_DASHES))
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", label).translate(_DASHES)).strip()


def label_text(column: pd.Series, control: str | None = None) -> pd.Series:
    """Labels as stripped text, "" where missing; categories are worked on, not cells.

    control: a label that counts although it stands for a missing one ("None"): cells with this text have it,
    and where no cell has, all cells without a label.
    """
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=True)
    written = [text_of_value(value) for value in values]
    names = ["" if name.casefold() in NO_LABEL else name for name in written] + [""]
    if control is not None and control.strip().casefold() in NO_LABEL - {""}:
        same = [name.casefold() == control.strip().casefold() for name in written]
        chosen = [*same, False] if any(same) else [not name for name in names]
        names = [control.strip() if is_it else name for name, is_it in zip(names, chosen, strict=True)]
    return pd.Series([names[code] for code in codes], index=column.index, dtype=object)
