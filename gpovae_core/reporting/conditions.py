"""How the networks of two conditions differ, in words."""

from __future__ import annotations

import pandas as pd

from gpovae_core.network.differences import (
    BOTH,
    ONLY_A,
    ONLY_B,
    OTHER_SIGN,
    OTHER_STRENGTH,
    UNCLEAR,
    Differences,
)

SHOWN = 20


def state_words(found: Differences) -> dict[str, str]:
    """State of an edge -> what it means, with the names of the runs."""
    return {
        ONLY_A: f"only under {found.a}",
        ONLY_B: f"only under {found.b}",
        OTHER_SIGN: "other sign",
        OTHER_STRENGTH: "other strength",
        BOTH: "in both, no difference told",
        UNCLEAR: "in one, no difference told",
    }


def summary(found: Differences) -> str:
    """One sentence."""
    words = state_words(found)
    counts = "; ".join(f"{found.count(state):,} {text}" for state, text in words.items())
    return (
        f"{len(found.edges):,} pairs are an edge (W > {found.threshold:g}) under {found.a} or {found.b}, of "
        f"{found.pairs:,} measured under both: {counts}."
    )


def method(found: Differences) -> str:
    """How a difference is told."""
    what = "wells" if found.permuted == "wells" else "cells, within perturbation and batch"
    return (
        f"A difference is told where at most {found.level:.0%} of those as clear come by chance, by "
        f"{found.permutations} permutations of the condition labels of {what}."
    )


def differences_table(found: Differences, edges: pd.DataFrame) -> pd.DataFrame:
    """Edges of it as they stand on a page."""
    words = state_words(found)
    return pd.DataFrame(
        {
            "Source": edges["source"],
            "Target": edges["target"],
            "Difference": [words[state] for state in edges["state"]],
            "False ones": edges["fdr"],
            f"W, {found.a}": edges["weight_a"],
            f"W, {found.b}": edges["weight_b"],
            f"Effect, {found.a}": edges["effect_a"],
            f"Effect, {found.b}": edges["effect_b"],
        }
    )


def differences_in_words(found: Differences) -> str:
    """Line by line, for a terminal."""
    words = state_words(found)
    lines = [summary(found), method(found), *found.notes]
    told = found.edges.loc[found.edges["fdr"] <= found.level]
    if len(told):
        lines += ["", f"rate, log2 fold change under {found.a} and {found.b}, edge"]
        lines += [
            f"  {row['fdr']:.2g}  {row['effect_a']:+.2f}  {row['effect_b']:+.2f}  {row['source']} -> "
            f"{row['target']}: {words[row['state']]}"
            for row in told.head(SHOWN).to_dict("records")
        ]
    if len(told) > SHOWN:
        lines.append(f"  … and {len(told) - SHOWN:,} more.")
    return "\n".join(lines)
