"""The parts of the page Response, one function per tab: every chart is asked for here and answers clicks
alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.shared import loaders, state
from dashboard.shared.answers import BADGES, MEANING, held_out_table
from dashboard.shared.figures import download_table, show
from dashboard.shared.glossary import show_table
from dashboard.shared.run_summary import command, pick
from dashboard.shared.words import number, percent, plain
from gpovae_core import keys
from gpovae_core.plots import response
from gpovae_core.questions.whatif import Question
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from anndata import AnnData

MOST = 4
REFERENCES = {"test": "Held-out cells", "all": "All cells"}
TABLE_ROWS = 2000
NO_CELLS = "This run holds no cells, so nothing can be tested or drawn here."


@dataclass(frozen=True)
class Scene:
    """What every tab looks at: the run, its effects, the reference, the chosen perturbations and the chosen
    gene.
    """

    run: RunFolder
    effects: AnnData
    reference: str
    chosen: tuple[str, ...]
    gene: str | None

    @property
    def level(self) -> float:
        return self.run.settings().evaluation.significance

    @property
    def cells(self) -> str:
        return REFERENCES[self.reference].lower()

    def table(self, perturbation: str) -> pd.DataFrame:
        """Response table of a perturbation with its tests."""
        tests = loaders.changes(self.run, perturbation, self.reference)
        return response.with_tests(response.response_table(self.effects, perturbation, self.reference), tests)  # type: ignore[arg-type]

    @property
    def held_out(self) -> dict[str, str]:
        """Perturbations without training cells -> what their prediction rests on; "" in runs scored before
        that was asked.
        """
        trained = keys.cell_count(keys.OBSERVED_TRAIN)
        if trained not in self.effects.obs:
            return {}
        rows: Any = self.effects.obs[self.effects.obs[trained] == 0]
        return {
            str(name): str(rows.at[name, keys.RESTS_ON]) if keys.RESTS_ON in rows else ""
            for name in rows.index
        }

    def count(self, perturbation: str) -> int | None:
        column = keys.cell_count(response.LAYER[self.reference])
        return int(self.effects.obs.loc[perturbation, column]) if column in self.effects.obs else None  # type: ignore[arg-type]

    def file(self, *parts: str) -> str:
        """Name of a file, without ending, that names from the data cannot lead astray."""
        words = "_".join((self.run.name, *parts, self.reference))
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in words)[:120]


# The chosen gene --------------------------------------------------------------------------------------------


def chosen_gene(run: RunFolder, effects: AnnData) -> str | None:
    """The measured gene chosen on any page. One outside the panel is no focus for the Network page, so it is
    kept beside it.
    """
    aside, focus = state.get(state.MEASURED), state.get(state.FOCUS)
    if aside is not None and aside[1] == focus and aside[0] in effects.var_names:
        return aside[0]
    return focus if focus in effects.var_names else None


def choose_gene(run: RunFolder, gene: str | None) -> None:
    inside = gene is None or gene in run.panel().index
    focus = gene if inside else state.get(state.FOCUS)
    state.put(**{state.FOCUS: focus, state.MEASURED: None if inside else (gene, focus)})


def gene_bar(scene: Scene) -> None:
    """The chosen gene, by name or by a click in any chart, and the way to its paths."""
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    key = "widget_measured_gene"
    st.session_state[key] = scene.gene
    left.selectbox(
        "Gene",
        list(scene.effects.var_names),
        index=None,
        placeholder="Type a measured gene, or click one in a chart",
        key=key,
        on_change=lambda: choose_gene(scene.run, st.session_state[key]),
    )
    sources = [gene for name in scene.chosen[:1] for gene in name.split(keys.PAIR_SEPARATOR)]
    panel = scene.run.panel().index
    if scene.gene is None or not sources:
        right.caption("A gene chosen here, in a chart or on the Network page is marked in every chart.")
        return
    usable = tuple(gene for gene in sources if gene in panel and gene != scene.gene)
    if scene.gene not in panel:
        right.caption(
            f"{plain(scene.gene)} is measured but not in the panel: the network has no paths to it."
        )
    elif usable:
        words = f"Paths from {plain(' and '.join(usable))} to {plain(scene.gene)} in Network"
        if right.button(words, key="to_paths"):
            state.put(**{state.PATH_SOURCE: usable, state.PATH_TARGET: scene.gene, state.PATH_ROW: None})
            st.session_state[state.NETWORK_PART] = "Paths"
            st.switch_page("pages/network.py")
    with st.container():
        st.caption(" · ".join(_effect_words(scene, name) for name in scene.chosen))


def _effect_words(scene: Scene, perturbation: str) -> str:
    table = scene.table(perturbation)
    row = table.iloc[int(np.flatnonzero(table["gene"] == scene.gene)[0])]
    low, high, adjusted = (float(row[name]) for name in ("low", "high", "adjusted"))
    interval = f" ({number(low, 2)} to {number(high, 2)})" if np.isfinite(low) else ""
    sure = f", adjusted p {adjusted:.2g}" if np.isfinite(adjusted) else ""
    return (
        f"{plain(scene.gene)} under {plain(perturbation)}: observed "
        f"{number(row['observed'], 2)}{interval}{sure}, predicted {number(row['predicted'], 2)}"
    )


# Predicted against observed ---------------------------------------------------------------------------------


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


CEILING_HELP = (
    "Beside the model stand the training mean (the mean effect in the training cells, without any model) "
    "and the ceiling (what a perfect prediction would reach against a measurement with so few cells; for "
    "R² that of rho squared). Changed genes are picked by the same noisy measurement, so no ceiling is "
    "known for them."
)


def predicted(scene: Scene) -> None:
    tables = {name: scene.table(name) for name in scene.chosen}
    if not tables:
        st.info("Choose at least one perturbation above.")
        return
    summary = per_perturbation(scene)
    ceilings = dict(zip(summary["Perturbation"], summary["Ceiling"].astype(float), strict=True))
    unseen = held_out_table(pick(loaders.evaluation(scene.run), "unseen") or {})
    ceilings |= dict(zip(unseen["Perturbation"], unseen["Ceiling"].astype(float), strict=True))
    for name, table in tables.items():
        st.subheader(plain(name))
        if name in scene.held_out:
            st.markdown(held_out_words(scene.held_out[name]))
        scores, words = st.columns([3, 2])
        show_table(agreement_table(table, ceilings.get(name, np.nan), scene.level), place=scores)
        words.caption(f"{number(scene.count(name))} cells ({scene.cells}). {CEILING_HELP}")
        words.caption(target_words(table, name))
        left, right = st.columns(2)
        with left:
            show(
                response.response_scatter(table, name, selected=scene.gene),
                f"scatter_{name}",
                scatter_words(table, name),
                scene.file(name, "predicted_observed"),
                lambda gene: choose_gene(scene.run, gene),
            )
        with right:
            show(
                response.ranked_bars(table, name, selected=scene.gene),
                f"bars_{name}",
                bar_words(table, name),
                scene.file(name, "strongest"),
                lambda gene: choose_gene(scene.run, gene),
            )
    joined = pd.concat(tables, names=[keys.PERTURBATION]).reset_index(level=0)
    download_table(joined, "Download these effects (CSV)", f"{scene.file('effects')}.csv", "download_effects")


def held_out_words(basis: str) -> str:
    """What stands under the name of a perturbation that no training cell has."""
    if not basis:
        return (
            f"{BADGES['held out']} None of its cells trained the model, and this run was scored before that "
            "was told apart: what is called predicted here comes from an untrained part of the model. "
            "Evaluate the run again."
        )
    return (
        f"{BADGES.get(basis, BADGES['held out'])} Held out with all its cells. {MEANING.get(basis, '')} "
        "What if gives the same answer."
    )


def target_words(table: pd.DataFrame, perturbation: str) -> str:
    targets = table.query("target").to_dict("records")
    if not targets:
        return (
            f"The perturbed gene {plain(perturbation)} is not measured in these data, so it is not among "
            "the points."
        )
    return " ".join(
        (
            f"Perturbed gene {plain(hit['gene'])}: observed {number(hit['observed'], 2)}, predicted "
            f"{number(hit['predicted'], 2)} log2."
        )
        for hit in targets
    )


def scatter_words(table: pd.DataFrame, perturbation: str) -> str:
    found, baseline = response.agreement(table), response.agreement(table, "train_mean")
    return (
        f"Predicted against observed effect of {plain(perturbation)} on {found.genes:,} genes: rho "
        f"{number(found.rho)}, R² {number(found.r2)} (training mean {number(baseline.rho)}, "
        f"{number(baseline.r2)}). On the dotted line both are equal."
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
        f"Strongest observed effects of {plain(perturbation)}: {first}. For {len(inside)} of the "
        f"{len(strongest)} the prediction lies inside the observed interval. Strongest of many: these "
        "observed values are on the large side by selection."
    )


# Observed changes -------------------------------------------------------------------------------------------


def observed(scene: Scene) -> None:
    if not scene.chosen:
        st.info("Choose at least one perturbation above.")
        return
    if not scene.run.has("cells.h5ad"):
        st.info(NO_CELLS)
        return
    tables = {}
    for name in scene.chosen:
        table = tables[name] = scene.table(name)
        sure = response.changed(table, scene.level)
        up, tested = int((sure["observed"] > 0).sum()), int(table["p"].notna().sum())
        st.subheader(plain(name))
        left, right = st.columns(2)
        with left:
            show(
                response.volcano(table, name, scene.level, selected=scene.gene),
                f"volcano_{name}",
                f"{len(sure):,} of {tested:,} genes change with {plain(name)} (adjusted p below "
                f"{scene.level:g}): {up:,} up, {len(sure) - up:,} down. Above the dotted line: significant.",
                scene.file(name, "volcano"),
                lambda gene: choose_gene(scene.run, gene),
            )
        with right:
            show(
                response.ma_plot(table, name, scene.level, selected=scene.gene),
                f"ma_{name}",
                f"The same effects of {plain(name)} against how much the gene is expressed. At low "
                "expression few counts decide.",
                scene.file(name, "ma"),
                lambda gene: choose_gene(scene.run, gene),
            )
    st.caption(
        f"Welch's t test of log2(counts per 10,000 + 1), {scene.cells}, perturbed against control; adjusted "
        "after Benjamini-Hochberg over the genes of one perturbation. Intervals: 95 %."
    )
    joined = pd.concat(tables, names=[keys.PERTURBATION]).reset_index(level=0)
    columns = ["gene", "observed", "low", "high", "p", "adjusted", "control", "predicted"]
    listed = joined.filter([keys.PERTURBATION, *columns]).sort_values(by="adjusted", kind="stable")
    words = {"control": "mean in control", "adjusted": "adjusted p"}
    show_table(
        listed.head(TABLE_ROWS).rename(columns=words),
        height=320,
        column_config=_numbers(listed, words),
    )
    if len(listed) > TABLE_ROWS:
        st.caption(f"The first {TABLE_ROWS:,} of {len(listed):,} rows; the file holds all.")
    download_table(listed, "Download these tests (CSV)", f"{scene.file('tests')}.csv", "download_tests")


def _numbers(table: pd.DataFrame, words: dict[str, str]) -> dict[Any, Any]:
    formats = {"p": "%.2g", "adjusted": "%.2g"}
    return {
        words.get(name, name): st.column_config.NumberColumn(format=formats.get(name, "%.3f"))
        for name in table.select_dtypes("number").columns
    }


# One gene ---------------------------------------------------------------------------------------------------


def one_gene(scene: Scene) -> None:
    if scene.gene is None or not scene.chosen:
        st.info("Choose a perturbation and a gene above, or click a gene in a chart of the other tabs.")
        return
    if not scene.run.has("cells.h5ad"):
        st.info(NO_CELLS)
        return
    groups = {}
    for name in scene.chosen:
        groups[name] = loaders.expression_groups(scene.run, name, scene.gene, scene.reference)
        st.subheader(plain(name))
        show(
            response.gene_distributions(groups[name], scene.gene),
            f"groups_{name}",
            distribution_words(groups[name], scene.gene),
            scene.file(name, scene.gene),
        )
    if set(scene.chosen) & set(scene.held_out):
        st.caption(
            "Of perturbations held out with all their cells only cells are shown: the model was not "
            "trained to draw such cells."
        )
    st.caption(
        f"Measured: {scene.cells}. Model: counts drawn from the trained model for the same perturbation and "
        "for control, at the library sizes of training controls, free of artifacts. Measured cells hold "
        "artifacts too, so their spread may be wider."
    )
    rows = [
        pd.DataFrame({keys.PERTURBATION: name, "group": group, "gene": scene.gene, "expression": values})
        for name, parts in groups.items()
        for group, values in parts.items()
    ]
    download_table(
        pd.concat(rows),
        "Download these cells and draws (CSV)",
        f"{scene.file(scene.gene)}.csv",
        "download_groups",
    )


def distribution_words(groups: dict[str, np.ndarray], gene: str) -> str:
    parts = [
        f"{plain(name)}: mean {values.mean():.2f}, zero in {percent(float((values == 0).mean()))}"
        for name, values in groups.items()
        if len(values)
    ]
    return f"Expression of {plain(gene)}, log2(counts per 10,000 + 1). " + "; ".join(parts) + "."


# A pinned path ----------------------------------------------------------------------------------------------


def path(scene: Scene) -> None:
    genes = state.get(state.PATH)
    if len(genes) < 2:
        st.info(
            "No path is pinned. On the page Network, tab Paths, tick a path and press *Effects along the "
            "lit path*."
        )
        st.page_link("pages/network.py", label="Go to Network")
        return
    unknown = [gene for gene in genes if gene not in scene.run.panel().index]
    if unknown:
        st.error(
            f"{plain(', '.join(unknown))}: not in the panel of this run, so this path is of another one. "
            "Pin a path of this run."
        )
        return
    source = genes[0]
    st.markdown(f"**{plain(' → '.join(genes))}**")
    table = path_table(scene, source)
    if table is None:
        st.info(
            f"{plain(source)} was never perturbed in these cells, and this run holds no cells to ask the "
            "model with."
        )
        return
    show(
        response.path_bars(table, source, genes, selected=scene.gene),
        "path_bars",
        path_words(table, genes),
        scene.file(source, "path"),
        lambda gene: choose_gene(scene.run, gene),
    )
    listed = table.set_index("gene").reindex(list(genes)).reset_index()
    weights = loaders.network(scene.run)
    steps = pairwise(genes)
    listed["W from the gene before"] = [
        np.nan,
        *(float(weights.weights[weights.panel.index[a], weights.panel.index[b]]) for a, b in steps),
    ]
    columns = [
        "gene",
        "W from the gene before",
        "observed",
        "low",
        "high",
        "adjusted",
        "predicted",
        "predicted_sd",
        "train_mean",
    ]
    listed = listed.filter(columns)
    words = {"adjusted": "adjusted p", "predicted_sd": "sd of model draws", "train_mean": "training mean"}
    show_table(listed.rename(columns=words), column_config=_numbers(listed, words))
    left, right = st.columns([1, 3])
    with left:
        download_table(
            listed, "Download this path (CSV)", f"{scene.file(source, 'path')}.csv", "download_path"
        )
    right.button(
        "Unpin this path", key="unpin", type="tertiary", on_click=lambda: state.put(**{state.PATH: None})
    )


def path_table(scene: Scene, source: str) -> pd.DataFrame | None:
    """Response table of the first gene of a path: measured and predicted, or asked of the model where it was
    never perturbed.
    """
    if source in scene.effects.obs_names:
        if source in scene.held_out:
            st.markdown(held_out_words(scene.held_out[source]))
        return scene.table(source)
    if loaders.predictor(scene.run) is None:
        return None
    answer = loaders.answer(scene.run, Question({source: None}))
    st.caption(f"{BADGES[answer.basis]} {MEANING[answer.basis]}")
    words = {"effect": "predicted", "sd": "predicted_sd", "perturbed": "target"}
    table = answer.table.rename(columns=words).drop(columns=["low", "high"])
    return response.with_tests(table.assign(observed=np.nan, observed_se=np.nan, train_mean=np.nan), None)


def path_words(table: pd.DataFrame, genes: tuple[str, ...]) -> str:
    rows = table.set_index("gene").reindex(list(genes))
    parts = [
        f"{plain(gene)} {number(row['observed'], 2)}, {number(row['predicted'], 2)}"
        for gene, row in rows.iterrows()
    ]
    return (
        f"Effect of perturbing {plain(genes[0])}, observed then predicted, in log2: "
        + "; ".join(parts)
        + ". If the effect travels this "
        "way, it is there at every gene of the path; one gene without it speaks for another way."
    )


# All perturbations ------------------------------------------------------------------------------------------


def per_perturbation(scene: Scene) -> pd.DataFrame:
    """Table of all perturbations from the evaluation: Perturbation, Cells, rho of model and training mean,
    Ceiling, Of the ceiling.
    """
    rows = pick(loaders.evaluation(scene.run), "response", scene.reference, "per_perturbation") or []
    table = pd.DataFrame(
        {
            "Perturbation": [str(row.get("perturbation")) for row in rows],
            "Cells": pd.to_numeric(pd.Series([row.get("cells") for row in rows], dtype=object)),
            "rho, model": pd.to_numeric(pd.Series([pick(row, "rho", "model") for row in rows], dtype=object)),
            "rho, training mean": pd.to_numeric(
                pd.Series([pick(row, "rho", "train_mean") for row in rows], dtype=object)
            ),
            "Ceiling": pd.to_numeric(pd.Series([row.get("ceiling") for row in rows], dtype=object)),
        }
    )
    ceiling = table["Ceiling"].astype(float)
    table["Of the ceiling"] = (table["rho, model"].astype(float) / ceiling.where(ceiling > 0)).astype(float)
    return table


def everything(scene: Scene) -> None:
    summary = per_perturbation(scene)
    if summary.empty:
        st.info("The table of all perturbations comes from the evaluation of this run:")
        st.code(command("gpovae", "evaluate", scene.run.path), language="bash")
        return
    summary = pd.DataFrame(summary[~summary["Perturbation"].isin(list(scene.held_out))]).reset_index(
        drop=True
    )
    size = response.effect_sizes(scene.effects, scene.reference)  # type: ignore[arg-type]
    counted = loaders.changed(scene.run, scene.reference)
    names = list(summary["Perturbation"])
    summary.insert(2, "Effect size", size.reindex(names).to_numpy())
    summary.insert(3, "Changed genes", np.nan if counted is None else counted.reindex(names).to_numpy())
    known = summary.dropna(subset=["rho, model", "rho, training mean"])
    if scene.held_out:
        held_out_scores(scene)
    better = int((known["rho, model"] > known["rho, training mean"]).sum())
    st.caption(
        f"{len(summary):,} perturbations, {scene.cells}; for {better:,} of {len(known):,} the model beats "
        "the training mean. Effect size: root mean square of the observed effects over genes, noise taken "
        f"out (log2). Changed genes: adjusted p below {scene.level:g}. Of the ceiling: rho of the model "
        "over what the noise allows. Tick rows to look at them; click a heading to sort."
    )

    def ticked() -> None:
        rows = st.session_state["all_perturbations"].selection.rows[:MOST]
        state.put(**{state.PERTURBATIONS: [str(summary["Perturbation"].iloc[row]) for row in rows] or None})

    three = st.column_config.NumberColumn(format="%.3f")
    formats: dict[Any, Any] = dict.fromkeys(
        ("Effect size", "rho, model", "rho, training mean", "Ceiling"), three
    ) | {
        "Of the ceiling": st.column_config.NumberColumn(format="percent"),
        "Changed genes": st.column_config.NumberColumn(format="%d"),
    }
    show_table(
        summary,
        key="all_perturbations",
        column_config=formats,
        on_select=ticked,
        selection_mode="multi-row",
        height=380,
    )
    download_table(
        summary, "Download this table (CSV)", f"{scene.file('perturbations')}.csv", "download_perturbations"
    )
    heatmap(scene)


def held_out_scores(scene: Scene) -> None:
    """Perturbations that no training cell has, apart from those that the model learned."""
    st.markdown(
        f"{BADGES['held out']} No cell of these trained the model; they are in no other score, table or "
        "heat map of this tab."
    )
    report = pick(loaders.evaluation(scene.run), "unseen") or {}
    if not report.get("per_perturbation"):
        why = report.get("reason") or "Evaluate this run again to have them scored."
        st.caption(plain(f"Held out: {', '.join(scene.held_out)}. {why}"))
        return
    show_table(held_out_table(report), key="held_out_perturbations")
    st.caption(
        "rho over genes without the perturbed one, against all cells of the perturbation and controls that "
        "did not train. Answer: what is shown as predicted here and on What if. Untrained row: what the "
        "autoencoder itself would say; shown nowhere else."
    )


def heatmap(scene: Scene) -> None:
    layers = {
        name: pd.DataFrame(
            scene.effects.layers[layer], scene.effects.obs_names, scene.effects.var_names
        ).drop(index=list(scene.held_out))
        for name, layer in (("observed", response.LAYER[scene.reference]), ("predicted", keys.PREDICTED))
    }
    rows, genes = (
        min(len(layers["observed"]), response.HEAT_ROWS),
        min(scene.effects.n_vars, response.HEAT_GENES),
    )
    show(
        response.effect_heatmap(layers["observed"], layers["predicted"]),
        "heatmap",
        f"Observed ({scene.cells}) and predicted effects in the same order, both clustered by the "
        f"observed: the {genes:,} strongest of {scene.effects.n_vars:,} genes under the {rows:,} strongest "
        f"of {len(layers['observed']):,} perturbations. Red: up, blue: down. "
        f"{heat_words(layers['observed'], layers['predicted'])}",
        scene.file("heatmap"),
        lambda gene: choose_gene(scene.run, gene),
    )


def heat_words(observed: pd.DataFrame, predicted: pd.DataFrame) -> str:
    a, b = observed.to_numpy().ravel(), predicted.to_numpy().ravel()
    both = np.isfinite(a) & np.isfinite(b)
    return f"rho over all entries {number(response.pearson(a[both], b[both]))}."


PARTS = {
    "Predicted against observed": predicted,
    "Which genes changed": observed,
    "One gene": one_gene,
    "Along a path": path,
    "All perturbations": everything,
}
