"""What transfer to other cells found, in words."""

from __future__ import annotations

import pandas as pd

from gpovae_core.questions.transfer import ALIKE, CHANCE, EDGES, STRONGEST, GroupOfPairs, Transfer
from gpovae_core.reporting.words import capitalised, number, share

GROUPS = {
    EDGES: "edges of the network",
    ALIKE: "pairs that are no edges, with effects as strong here",
    STRONGEST: "as many pairs, those with the clearest effects here",
    CHANCE: "other pairs of the same perturbations, drawn at random",
}
PREDICTORS = {
    "influence": "T_K, scaled by the own change there",
    "measured_here": "effect measured here, scaled alike (no network)",
    "mean_there": "mean over the other perturbations there",
    "mean_here": "mean over the perturbations here",
    "ceiling": "ceiling (a prediction without error)",
}


def transfer_in_words(found: Transfer) -> str:
    """Line by line, for a terminal."""
    edges = found.groups[EDGES]
    lines = [
        f"{found.here} in {found.there}: {len(found.perturbations):,} genes are perturbed in both, "
        f"{found.genes:,} genes measured in both.",
        f"Of {found.edges_here:,} edges with W > {found.threshold:g}, {edges.tested:,} can be tested there. "
        f"Adjusted p at most {found.significance:g} (Benjamini and Hochberg): {edges.seen:,} with the "
        f"expected sign, {edges.other_sign:,} with the other one.",
    ]
    return "\n".join([*lines, *warning(found), *_table(found)])


def transfer_tables(found: Transfer) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs and the predictions as they stand on a page."""
    groups = {name: group for name, group in found.groups.items() if group.tested}
    pairs = pd.DataFrame(
        {
            "Pairs": [capitalised(GROUPS[name]) for name in groups],
            "Tested": [group.tested for group in groups.values()],
            "Seen there": [share(group.share) for group in groups.values()],
            "Would be seen": [ceiling_in_words(group) for group in groups.values()],
        }
    )
    predictions = {**found.effects, "ceiling": found.ceiling}
    effects = pd.DataFrame(
        {
            "Prediction": [capitalised(PREDICTORS[name]) for name in predictions],
            "Correlation": [number(one.rho) for one in predictions.values()],
            "Explained": [number(one.explained) for one in predictions.values()],
        }
    )
    return pairs, effects


def warning(found: Transfer) -> list[str]:
    """What limits the meaning of the answer."""
    words = []
    if found.shared_cells:
        words.append(
            f"{found.shared_cells:,} cells are in both sets: as far as they go, what was found is held "
            "against itself."
        )
    if found.raised:
        words.append(
            f"{found.raised:,} genes are activated in other cells of their own: here they are compared by "
            "their knock-downs alone."
        )
    if not found.strengths_compare:
        words.append(
            "One set takes its perturbations for knock-outs, the other reads their strength off the targets: "
            "effects are compared as if they were equally strong. --set network.perturbation=knock-out (or "
            "knock-down) decides it for a file."
        )
    if not found.own_controls:
        words.append(
            "The other set comes without cells: its mean rests on the same controls as its effects, so it "
            "also follows their noise, which no other prediction can."
        )
    return words


def ceiling_in_words(group: GroupOfPairs) -> str:
    """'81 % (72 % to 90 %)'"""
    low, high = group.ceiling_interval
    return f"{share(group.ceiling)} ({share(low)} to {share(high)})"


def _table(found: Transfer) -> list[str]:
    lines = [
        "",
        "Share seen there with the expected sign; what it would be, were the effects as they are here:",
    ]
    for name, group in found.groups.items():
        if group.tested:
            lines.append(
                f"  {share(group.share)} of {group.tested:,} {GROUPS[name]}; {ceiling_in_words(group)}; "
                f"effect over its error here {number(group.strength)}"
            )
        else:
            lines.append(f"  no {GROUPS[name]}")
    lines += ["", f"Effects there, {found.pairs:,}: correlation, share explained:"]
    for name, one in (*found.effects.items(), ("ceiling", found.ceiling)):
        lines.append(f"  {number(one.rho)}  {number(one.explained)}  {PREDICTORS[name]}")
    return lines
