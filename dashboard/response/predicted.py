"""The tab with predicted against observed effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.response.scene import Scene, choose_gene
from dashboard.response.scores import ceilings_of
from dashboard.response.words import held_out_words
from dashboard.shared.figures import chart_with_words, download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import named, number, percent, plain
from gpovae_core import keys
from gpovae_core.plots import response

CEILING_HELP = (
    "Beside the model stand the training mean (the mean effect in the training cells, without any model) "
    "and the ceiling (what a perfect prediction would reach against a measurement with so few cells; for "
    "R² that of rho squared). These scores are of differences of mean log2(counts per 10,000 + 1), the scale "
    "that the model is scored on; charts and files hold log2 fold changes of mean shares. Changed genes are "
    "picked by the same noisy measurement, so no ceiling is known for them."
)

SORTED = (
    "Sorted by what is to be believed of an effect: the noisier it was measured, the more it is taken "
    "towards zero, so a longer bar may stand below a shorter one."
)


def show(scene: Scene) -> None:
    tables = {name: scene.table(name) for name in scene.chosen}
    if not tables:
        st.info("Choose at least one perturbation above.")
        return
    ceilings = ceilings_of(scene)
    for name, table in tables.items():
        if len(tables) > 1:
            st.subheader(named(name))
        if name in scene.unseen:
            st.markdown(held_out_words(scene.unseen[name]))
        if not table["observed"].notna().to_numpy().any():
            st.info(
                f"No effect of {named(name)} was observed in {scene.cells}: there is nothing to compare. "
                "What the model predicts is in the file below."
            )
            continue
        figures(scene, name, table)
        with st.expander(f"Scores of {named(name)}, beside baseline and ceiling"):
            show_table(agreement_table(table, ceilings.get(name, np.nan), scene.level))
            st.caption(f"{number(scene.count(name))} cells ({scene.cells}). {CEILING_HELP}")
            st.caption(target_words(table, name))
    joined = pd.concat(tables, names=[keys.PERTURBATION]).reset_index(level=0)
    joined = joined.rename(
        columns={
            keys.PERTURBATION: keys.SOURCE,
            "gene": keys.TARGET,
            "observed": keys.EFFECT,
            "observed_se": keys.EFFECT_SE,
            "adjusted": keys.P_ADJUSTED,
        }
    )
    download_table(joined, "Download these effects (CSV)", f"{scene.file('effects')}.csv", "download_effects")


def figures(scene: Scene, name: str, table: pd.DataFrame) -> None:
    left, right = st.columns(2)
    with left:
        chart_with_words(
            response.response_scatter(table, name, selected=scene.gene),
            f"scatter_{name}",
            scatter_words(table, name),
            scene.file(name, "predicted_observed"),
            lambda gene: choose_gene(scene.run, gene),
        )
    with right:
        chart_with_words(
            response.ranked_bars(table, name, selected=scene.gene),
            f"bars_{name}",
            bar_words(table, name),
            scene.file(name, "strongest"),
            lambda gene: choose_gene(scene.run, gene),
        )


def agreement_table(table: pd.DataFrame, ceiling: float, level: float) -> pd.DataFrame:
    """Scores of model and training mean with the ceiling (NaN: not known), one row per score."""
    sure = response.changed(table, level)
    whole, among = (
        {name: response.agreement(part, name) for name in ("predicted", "train_mean")}
        for part in (table, sure)
    )
    signs = {name: response.same_direction(sure, name) for name in ("predicted", "train_mean")}
    genes, changed = f"{whole['predicted'].genes:,} genes", f"{len(sure):,} changed genes"
    rows = [
        ("rho", genes, *(number(whole[name].rho) for name in whole), number(ceiling)),
        ("R²", genes, *(number(whole[name].r2) for name in whole), number(ceiling**2)),
        ("rho", changed, *(number(among[name].rho) for name in among), "not known"),
        ("R²", changed, *(number(among[name].r2) for name in among), "not known"),
        ("Same sign", changed, *(_share(signs[name].share) for name in signs), percent(1.0)),
    ]
    return pd.DataFrame(rows, columns=pd.Index(["Score", "Over", "Model", "Training mean", "Ceiling"]))


def _share(share: float) -> str:
    return percent(share) if np.isfinite(share) else "not defined"


def target_words(table: pd.DataFrame, perturbation: str) -> str:
    targets = table.query("target").to_dict("records")
    if not targets:
        return (
            f"The perturbed gene {named(perturbation)} is not measured in these data, so it is not among "
            "the points."
        )
    return " ".join(
        (
            f"Perturbed gene {plain(hit['gene'])}: observed {number(hit['observed'], 2)}, predicted "
            f"{number(hit['predicted'], 2)} (log2 fold change of mean shares)."
        )
        for hit in targets
    )


def scatter_words(table: pd.DataFrame, perturbation: str) -> str:
    found, baseline = response.agreement(table), response.agreement(table, "train_mean")
    return (
        f"Predicted against observed effect of {named(perturbation)} on {found.genes:,} genes, a point each: "
        f"correlation (rho) {number(found.rho)}, R² {number(found.r2)} (training mean "
        f"{number(baseline.rho)}, {number(baseline.r2)}), both of differences of mean logarithms, as scores "
        "are. On the dotted line both are equal. Named, where there is room: the genes of the bars."
    )


def bar_words(table: pd.DataFrame, perturbation: str) -> str:
    strongest = table.dropna(subset=["observed"]).head(20)
    inside = strongest[
        (strongest["predicted"] >= strongest["low"]) & (strongest["predicted"] <= strongest["high"])
    ]
    first = "; ".join(
        f"{plain(row['gene'])} {number(row['observed'], 2)}" for row in strongest.head(3).to_dict("records")
    )
    return (
        f"The {len(strongest)} strongest observed effects of {named(perturbation)}, from the top: {first}. "
        f"{SORTED} For {len(inside)} of the {len(strongest)} the prediction lies inside the observed "
        "interval. Strongest of many: these observed values are on the large side by selection."
    )
