"""Gene names that a spreadsheet has turned into dates: MARCH1 into 1-Mar, SEPT2 into 2-Sep."""

from __future__ import annotations

import re
from functools import lru_cache

_MONTHS = {
    1: ("jan", "january"),
    2: ("feb", "february"),
    3: ("mar", "march", "mrz", "mär", "märz", "mars"),
    4: ("apr", "april"),
    5: ("may", "mai"),
    6: ("jun", "june"),
    7: ("jul", "july"),
    8: ("aug", "august"),
    9: ("sep", "sept", "september"),
    10: ("oct", "october", "okt"),
    11: ("nov", "november"),
    12: ("dec", "december", "dez", "déc"),
}
_NUMBER_OF = {name: number for number, names in _MONTHS.items() for name in names}
_STEMS = {
    2: ("FEB",),
    3: ("MARCHF", "MARCH", "MTARC", "MARC"),
    4: ("APR",),
    9: ("SEPTIN", "SEPT", "SEP"),
    10: ("OCT",),
    11: ("NOV",),
    12: ("DELEC", "DEC"),
}
"""Month -> stems of the genes whose names, with a day behind them, become a date; those of today first."""
_SAME = (("MARCHF", "MARCH"), ("MTARC", "MARC"), ("SEPTIN", "SEPT"), ("DELEC", "DEC"))
_WORDS = "|".join(sorted(_NUMBER_OF, key=len, reverse=True))
_FORMS = (
    re.compile(rf"(?P<day>\d{{1,2}})[\s.\-/]*(?P<month>{_WORDS})(?:[\s.\-/]+\d{{2,4}})?"),
    re.compile(rf"(?P<month>{_WORDS})[\s.\-/]+(?P<day>\d{{1,2}})(?:[\s.\-/,]+\d{{4}})?"),
    re.compile(r"(?:19|20)\d\d-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?:[ t]00:00(?::00)?)?"),
    re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?:19|20)\d\d"),
)

_MAYBE = re.compile(rf"\d\D+\d|\d\W*(?:{_WORDS})|(?:{_WORDS})\W+\d", re.IGNORECASE)
"""What every date has; most names have not."""


@lru_cache(maxsize=4096)  # the same name is asked about many times in a row
def date_in(name: str) -> tuple[int, int] | None:
    """(month, day) where a name is a date as spreadsheets write one: 1-Mar, Sep-02, 2024-03-01; else None."""
    if not _MAYBE.search(name):
        return None
    for form in _FORMS:
        found = form.fullmatch(name.strip().casefold())
        if found:
            month = _NUMBER_OF.get(found["month"]) or int(found["month"])
            day = int(found["day"])
            return (month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None
    return None


def genes_of_date(name: str) -> list[str]:
    """Symbols, old and new, that a spreadsheet turns into this date; none where the name is no date."""
    found = date_in(name)
    return [] if found is None else [f"{stem}{found[1]}" for stem in _STEMS.get(found[0], ())]


def other_names(symbol: str) -> list[str]:
    """The name that a gene of these families had before or has now: SEPT2 for SEPTIN2, and back."""
    match = re.fullmatch(r"([A-Za-z]+)(\d{1,2})", symbol)
    pair = next((pair for pair in _SAME if match and match[1].upper() in pair), None)
    if match is None or pair is None:
        return []
    return [f"{stem}{match[2]}" for stem in pair if stem != match[1].upper()]
