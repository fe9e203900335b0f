"""What a ranking of pairs says, in words: which pair first, how it was ranked, how far to trust it, and what
is refused.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.questions.pairs import PairRanking
from gpovae_core.questions.reach import FEW_CELLS

NAMED = 6
"""Refused genes that are named at most."""
TRUST_WORDS = {
    "measured together": "cells with both knocked down trained the model",
    "good": "both single predictions agree with held-out cells",
    "fair": "the weaker single prediction agrees with held-out cells to some degree",
    "poor": f"the weaker gene has fewer than {FEW_CELLS} training cells, or its prediction hardly agrees "
    "with held-out cells",
    "unknown": "no held-out cells speak for one of the genes",
}
"""What each trust of `questions.pairs` means."""


def answer_in_words(found: PairRanking) -> str:
    """The answer to 'which pair?', in one or two sentences. Names are as the data has them."""
    if found.pairs.empty:
        return "No two genes of this run have training cells of their own, so there is no pair to rank."
    first = found.pairs.iloc[0]
    words = (
        f"{first['first']} + {first['second']} {_place(level_with_first(found.pairs))}: {_size(first)}; the "
        f"two alone, added up, give {first['additive']:.2f}. {_rests_on(first)}"
    )
    trusted = found.pairs.loc[found.pairs["trust"].isin(["measured together", "good"])]
    if first["trust"] not in ("measured together", "good") and len(trusted):
        best = trusted.iloc[0]
        words += (
            f" Largest of those that can be trusted: {best['first']} + {best['second']} "
            f"({best['size']:.2f}, {best['trust']})."
        )
    called = found.pairs.loc[found.pairs["non_additive"].fillna(0) > 0]
    if len(called):
        most = called.sort_values("departure", ascending=False).iloc[0]
        words += (
            f" Least like the sum of its parts: {most['first']} + {most['second']} "
            f"({int(most['non_additive']):,} non-additive genes predicted)."
        )
    return words


def level_with_first(pairs: pd.DataFrame) -> int:
    """How many other pairs have a spread that overlaps with that of the first."""
    first, others = pairs.iloc[0], pairs.iloc[1:]
    return int(((others["high"] >= first["low"]) & (others["low"] <= first["high"])).sum())


def _place(level: int) -> str:
    if not level:
        return "is expected to change most"
    if level == 1:
        return "comes first, but level with another pair, whose spread overlaps with its own"
    return f"comes first, but level with {level:,} others, whose spreads overlap with its own"


def _rests_on(row: pd.Series) -> str:
    """What the answer about a pair rests on; whether it was measured is always said."""
    trust = str(row["trust"])
    if trust == "measured together":
        return "Cells with both knocked down trained the model."
    if trust == "unknown":
        return (
            "No held-out cell tells how well its genes alone are predicted; together they were never "
            "measured."
        )
    how = {"good": "well", "fair": "fairly", "poor": "poorly"}[trust]
    return (
        f"Its less certain gene alone is predicted {how} (rho {row['agreement']:.2f} in held-out cells, at "
        f"least {row['cells']:,} training cells each); together they were never measured."
    )


def _size(row: pd.Series) -> str:
    if not np.isfinite(row["low"]):
        return f"size {row['size']:.2f}, by the sum"
    return f"size {row['size']:.2f} (the model's own spread: {row['low']:.2f} to {row['high']:.2f})"


def how_ranked(found: PairRanking) -> str:
    """What the numbers are, and for how many pairs the model itself was asked."""
    words = (
        "Size: root mean square of the expected effects over all measured genes but the knocked-down ones, "
        "log2(counts per 10,000 + 1) against control."
    )
    if found.asked < found.possible:
        listed = (
            "" if len(found.pairs) == found.possible else f" The {len(found.pairs):,} largest are listed."
        )
        return (
            f"{words} All {found.possible:,} pairs are ranked by the sum of their single effects; the model "
            f"itself was asked for {found.asked:,}: half of them the largest sums, half the pairs whose "
            f"genes change the same genes most, where departures from the sum come from.{listed}"
        )
    return f"{words} The model was asked for all {found.possible:,} pairs."


def checked_in_words(found: PairRanking) -> str:
    """How such predictions did where cells could tell."""
    done = found.checked
    if done is None:
        return (
            "No cell of this run has two genes knocked down together: none of these pairs was measured, and "
            "how well the model predicts a combination was never checked here. What was checked is each gene "
            "alone."
        )
    what = (
        "combinations that the model was trained on, so this is an easier task than a new pair"
        if done.trained
        else "combinations that the model had not seen"
    )
    plus = "" if not np.isfinite(done.additive_rho) else f"; the sum of the singles {done.additive_rho:.2f}"
    return (
        f"Where cells could tell, in held-out cells of {done.combinations:,} {what}, predicted and measured "
        f"effects correlate with rho {done.rho:.2f} (median{plus})."
    )


def refused_in_words(found: PairRanking) -> list[str]:
    """One sentence for each reason why genes of the panel are not ranked."""
    why: dict[str, list[str]] = defaultdict(list)
    for gene, reason in found.refused.items():
        why[reason].append(gene)
    told = []
    for reason, genes in why.items():
        more = f" and {len(genes) - NAMED:,} more" if len(genes) > NAMED else ""
        told.append(f"Not ranked: {', '.join(genes[:NAMED])}{more}. Why: {reason.rstrip('.')}.")
    raised = [keys.for_reading(name) for name in found.genes["gene"] if keys.is_raised(name)]
    if raised:
        more = f" and {len(raised) - NAMED:,} more" if len(raised) > NAMED else ""
        told.append(
            f"Pairs are of knock-downs. Ranked as single perturbations alone: {'; '.join(raised[:NAMED])}"
            f"{more}."
        )
    if found.refused or (found.genes["basis"] != "seen").any():
        told.append(
            "No pair with a gene that was never perturbed is ranked: how it acts together with another is "
            "not predicted."
        )
    return told


def place_of(found: PairRanking, genes: tuple[str, str]) -> int | None:
    """Rank by size of a pair, 1 the largest; None where it is not in the list."""
    pairs = found.pairs
    same = pairs["first"].isin(genes) & pairs["second"].isin(genes)
    places = np.flatnonzero(same)
    return int(places[0]) + 1 if len(places) else None


def plain_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: numbers that are not known are None."""
    return [
        {str(key): None if value is pd.NA or value != value else _plain(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
