"""The answer in a sentence: what a perturbation changes, and how well the model knew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.response.scene import Scene
from dashboard.response.scores import ceilings_of
from dashboard.shared import contents, shell
from dashboard.shared.words import named, number, plain
from gpovae_core.plots import response
from gpovae_core.reporting.sentences import responders_in_words, states_in_words

UNIT = (
    "Effect: log2 fold change of the gene's mean share of a cell's counts, perturbed over control, without "
    "the common lift of all shares; -1 is half, 1 twice as much."
)
EXPLAINED = {
    "test": (
        "Observed effects come from held-out cells only: cells that neither the training nor its early "
        "stop has seen."
    ),
    "all": (
        "Observed effects come from every cell, the training cells included. Less noise, but the model has "
        "seen most of these cells, and so has the training-mean baseline: agreement looks better than it "
        "is."
    ),
}
SCALES = (
    "Numbers behind genes are log2 fold changes: -1 is half as much mRNA, +1 twice as much. Correlation: 1 "
    "is a perfect prediction, 0 none; of differences of mean log expression, as all scores are."
)
ORDER = "Perturbations stand in the order in which they were chosen."
ALONE = (
    "Its batches hold no control cells, so that its effects cannot be measured. What the model predicts "
    "comes from cells that could not be compared either."
)
FEW_CELLS = 20
"""Cells below which hardly any change can be told from noise."""
NAMED = 4


def show(scene: Scene) -> None:
    """A sentence for each chosen perturbation, and what could mislead."""
    ceilings = ceilings_of(scene) if scene.chosen else {}
    alone = contents.without_controls(scene.run)
    for name in scene.chosen:
        if name in alone:
            st.warning(f"**{named(name)}.** {ALONE}")
            continue
        with shell.errors_in_words():
            st.markdown(in_words(scene, name, ceilings.get(name, np.nan)))
            moved = states_in_words(contents.evaluation(scene.run), name)
            if moved:
                st.warning(f"**{named(name)}.** {plain(moved)}")
    if scene.chosen:
        st.caption(SCALES + (f" {ORDER}" if len(scene.chosen) > 1 else ""))


def explained(scene: Scene) -> None:
    """What the numbers of the page are, for whoever asks."""
    with st.expander("What these numbers are"):
        st.caption(f"{EXPLAINED[scene.reference]} {UNIT}")
        for name in scene.chosen:
            responding = responders_in_words(contents.evaluation(scene.run), name)
            if responding:
                st.caption(f"{named(name)}. {plain(responding)}")


def in_words(scene: Scene, name: str, ceiling: float) -> str:
    """'Perturbing JAK2 changes 30 of 585 genes ...' and how near the prediction comes. ceiling: what a
    perfect one would reach, NaN where that is not known. Markdown.
    """
    table = scene.table(name)
    cells = scene.count(name)
    of_cells = f"{cells:,} {scene.cells}" if cells is not None else scene.cells
    few = ", too few to tell much" if cells is not None and cells < FEW_CELLS else ""
    known = _known(table, ceiling)
    return f"Perturbing **{named(name)}** ({of_cells}{few}) {_changes(table, scene.level)} {known}"


def _changes(table: pd.DataFrame, level: float) -> str:
    """How many genes change, and which most; where nothing was tested, the strongest effects alone."""
    others = table.loc[~table["target"]]
    tested = int(table["p"].notna().sum())
    if not tested:
        named = _strongest(others.dropna(subset=["observed"]), "observed")
        return f"was not tested gene by gene here; largest observed effects: {named}." if named else ""
    sure = response.changed(table, level)
    up = int((sure["observed"] > 0).sum())
    words = (
        f"changes **{len(sure):,} of all {tested:,} genes tested** ({up:,} up, {len(sure) - up:,} down; "
        f"adjusted p below {level:g})"
    )
    largest = sure.loc[~sure["target"]]
    named = _strongest(largest.sort_values("p", kind="stable"), "observed")
    return f"{words}, most clearly {named}." if named else f"{words}."


def _strongest(table: pd.DataFrame, column: str) -> str:
    rows = table.head(NAMED)
    return ", ".join(
        f"{plain(gene)} {value:+.2f}" for gene, value in zip(rows["gene"], rows[column], strict=True)
    )


def _known(table: pd.DataFrame, ceiling: float) -> str:
    """How near model and training mean come to what was observed, in order and in size, and how near
    anything could.
    """
    model, mean = response.agreement(table), response.agreement(table, "train_mean")
    if not np.isfinite(model.rho):
        return ""
    beside = [
        f"{words} {number(value, 2)}"
        for words, value in (
            ("baseline, the mean of the training cells:", mean.rho),
            ("ceiling, what so few cells allow:", ceiling),
        )
        if np.isfinite(value)
    ]
    words = f"The model's prediction correlates with what was observed by **{number(model.rho, 2)}**"
    known = f" ({'; '.join(beside)})" if beside else ""
    return f"{words}{known}{_sizes(model, mean)}."


def _sizes(model: response.Agreement, mean: response.Agreement) -> str:
    """Whether the sizes of predicted effects are nearer to the observed ones than those of the training mean,
    in the same breath as the correlation, which knows nothing of size; "" where that is not known.
    """
    if not (np.isfinite(model.r2) and np.isfinite(mean.r2)):
        return ""
    difference = round(model.r2, 2) - round(mean.r2, 2)
    told = "nearer than" if difference > 0 else "**farther off** than" if difference < 0 else "as far off as"
    joint = "and" if (model.rho >= mean.rho) == (difference >= 0) else "but"
    return (
        f", {joint} in size it is {told} that baseline (R², the share of the variance that is explained: "
        f"{number(model.r2, 2)} against {number(mean.r2, 2)})"
    )
