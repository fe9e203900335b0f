"""The parts of the page What if below the question: scenarios side by side, one of them in detail, how good
such answers are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.shared import loaders, shell, state
from dashboard.shared.answers import BADGES, MEANING, held_out_table
from dashboard.shared.figures import chart, download_table
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.run_summary import command, pick
from dashboard.shared.words import number, percent, plain
from dashboard.whatif import scenarios
from dashboard.whatif.scenarios import Scenario
from gpovae_core import keys
from gpovae_core.errors import GpoVaeError
from gpovae_core.plots import whatif as figures
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.interactions import Coefficients, Interaction
    from gpovae_core.questions.whatif import Answer

SPLITS = {keys.OBSERVED_TEST: keys.HELD_OUT, keys.OBSERVED_ALL: keys.SPLITS}
TABLE_ROWS = 2000
MOST_PATHS = 10


@dataclass(frozen=True)
class Answered:
    """A scenario, its answer, and the answer's table with what was measured."""

    scenario: Scenario
    answer: Answer
    table: pd.DataFrame
    layer: str

    @property
    def measured(self) -> bool:
        return bool(self.table["measured"].notna().any())


def answer(run: RunFolder, scenario: Scenario, layer: str) -> Answered:
    from gpovae_core.questions.whatif import with_measured

    found = loaders.answer(run, scenario.asked)
    effects = loaders.effects(run) if run.has("effects.h5ad") else None
    return Answered(scenario, found, with_measured(found, effects, layer), layer)


# Side by side -----------------------------------------------------------------------------------------------


def side_by_side(run: RunFolder, found: dict[str, Answered]) -> None:
    for column, (name, one) in zip(st.columns(len(found)), found.items(), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{plain(name)}**  \n{BADGES[one.answer.basis]}")
            st.caption(f"{strength_words(run, one)} {MEANING[one.answer.basis]}")
            st.button(
                "Remove",
                key=f"whatif_remove_{name}",
                on_click=partial(scenarios.remove, run.name, name),
                type="tertiary",
            )
    chart(figures.scenarios({name: one.table for name, one in found.items()}), key="whatif_scenarios")
    st.caption(in_words(found))
    table = joined(found)
    download_table(table, "Download all predicted effects (CSV)", f"{run.name}_whatif.csv", "whatif_all")


def strength_words(run: RunFolder, one: Answered) -> str:
    """'STAT1 loses 78 % of its mRNA, as in the screen.'"""
    reach = loaders.reach(run)
    parts = []
    for gene, loss in one.scenario.asked.loss.items():
        lost = reach.reached(gene) if loss is None else loss
        how = (
            "as is typical of this screen"
            if not reach.trained[reach.panel.position(gene)]
            else "as in the screen"
        )
        what = "function (a knock-out)" if reach.knock_out else "mRNA"
        parts.append(
            f"{plain(gene)} loses {100 * lost:.0f} % of its {what}{f', {how}' if loss is None else ''}"
        )
    return "; ".join(parts) + "."


def in_words(found: dict[str, Answered]) -> str:
    """The figure for those who cannot see it, and what the intervals mean."""
    parts = []
    for name, one in found.items():
        rest = one.table.loc[~one.table["perturbed"] & one.table["effect"].notna()].head(3)
        strongest = ", ".join(
            f"{plain(gene)} {effect:+.2f}" for gene, effect in zip(rest["gene"], rest["effect"], strict=True)
        )
        parts.append(f"{plain(name)}: {strongest}")
    words = "; ".join(parts)
    return (
        f"Strongest predicted effects beside the knocked-down genes: {words}. Intervals hold 95 % of the "
        "model's own draws; where the network alone answers, 1.96 times its error on training "
        "perturbations that were left out in turn. A gene that was never perturbed has no effect on itself "
        "here: its fall is what you ask for. The unit is log2(counts per 10,000 + 1) against control."
    )


def joined(found: dict[str, Answered]) -> pd.DataFrame:
    """All tables one below the other, with scenario and basis."""
    parts = [one.table.assign(scenario=name, rests_on=one.answer.basis) for name, one in found.items()]
    whole = pd.concat(parts, ignore_index=True)
    first = ["scenario", "rests_on", "gene"]
    return whole.reindex(columns=[*first, *(column for column in whole.columns if column not in first)])


# One scenario -----------------------------------------------------------------------------------------------


def details(run: RunFolder, found: dict[str, Answered]) -> None:
    st.subheader("In detail")
    names = list(found)
    if st.session_state.get("whatif_detail") not in names:
        st.session_state["whatif_detail"] = names[-1]
    name = st.segmented_control("Scenario", names, required=True, key="whatif_detail", format_func=plain)
    one = found[name if name in found else names[-1]]
    parts: dict[str, Callable[[], None]] = {"Effects": lambda: effects(run, one)}
    if len(one.scenario.asked.genes) > 1:
        parts["Do they add up?"] = lambda: interactions(run, one)
    parts["Paths"] = lambda: paths(run, one)
    shell.tabs("whatif_part", parts)


def effects(run: RunFolder, one: Answered) -> None:
    st.markdown(measured_words(one))
    columns = {
        "gene": "Gene",
        "effect": "Predicted",
        "low": "95 % from",
        "high": "to",
        "additive": "Sum of singles",
        "measured": "Measured",
        "measured_se": "± s.e.",
    }
    kept = [
        column
        for column in columns
        if column in one.table and (one.measured or not column.startswith("measured"))
    ]
    table = one.table.reindex(columns=kept).set_axis([columns[column] for column in kept], axis=1)
    if len(table) > TABLE_ROWS:
        st.caption(f"The {TABLE_ROWS:,} strongest of {len(table):,} genes; the download has all.")
    formats = {
        label: st.column_config.NumberColumn(format="%.3f") for label in table.columns if label != "Gene"
    }
    show_table(table.head(TABLE_ROWS), column_config=formats)
    download_table(
        one.table,
        "Download this table (CSV)",
        f"{run.name}_whatif_{one.answer.question.perturbation}.csv",
        "whatif_one",
    )


def measured_words(one: Answered) -> str:
    """Agreement with the cells where there are some, and otherwise that there are none."""
    cells = (
        "held-out cells" if one.layer == keys.OBSERVED_TEST else "all cells, which the model has mostly seen"
    )
    if not one.measured:
        name = plain(one.answer.question.perturbation)
        return (
            f"**Not measured**: there are no {cells.split(',')[0]} of this run with exactly {name} knocked "
            "down."
        )
    both = one.table.loc[
        one.table["effect"].notna() & one.table["measured"].notna() & ~one.table["perturbed"]
    ]
    rho = (
        float(np.corrcoef(both["effect"], both["measured"])[0, 1])
        if len(both) > 2 and both["effect"].std() > 0
        else float("nan")
    )
    words = (
        f"Predicted against measured ({cells}): **rho {number(rho)}** over {len(both):,} genes, the "
        "knocked-down ones left out."
    )
    if "additive" in both:
        plus = (
            float(np.corrcoef(both["additive"], both["measured"])[0, 1])
            if both["additive"].std() > 0
            else float("nan")
        )
        words += f" The plain sum of the single predictions reaches {number(plus)}."
    if not one.scenario.asked.as_in_the_screen:
        words += " You asked for another strength than the one that was measured."
    return words


# Interactions -----------------------------------------------------------------------------------------------


def interactions(run: RunFolder, one: Answered) -> None:
    st.caption(
        "Effects of genes that act independently multiply, so their log2 fold changes add up: a gene off "
        "the line answers to the combination otherwise than to its parts. Called non-additive at 5 % false "
        "discoveries; the knocked-down genes are left out."
    )
    left, right = st.columns(2)
    with left, shell.errors_in_words():
        if one.answer.interaction is None:
            st.info(
                "At least one of these genes is answered by the network alone and was added to the others: "
                "nothing can be said here."
            )
        else:
            shown(run, one.answer.interaction, "Predicted", "whatif_predicted_gi")
    with right:
        try:
            measured = loaders.interaction(run, one.answer.question.perturbation, SPLITS[one.layer])
            shown(run, measured, "Measured", "whatif_measured_gi")
        except GpoVaeError as error:
            st.info(plain(error))


def shown(run: RunFolder, found: Interaction, what: str, key: str) -> None:
    """Figure, coefficients and list of one interaction."""
    chart(figures.departures(found, f"{what}: {found.name} against its parts"), key=key)
    st.markdown(coefficient_words(found.coefficients))
    called = found.table.loc[found.table["non_additive"]]
    cells = ", ".join(f"{plain(name)} {count:,}" for name, count in found.cells.items())
    error = (
        f"Cells: {cells}."
        if cells
        else "Called from a departure of 0.1 on; the error is the spread of the model's draws, no more."
    )
    st.markdown(
        f"**{len(called):,} non-additive genes** of {int((~found.table['perturbed']).sum()):,}. {error}"
    )
    if len(called):
        names = {
            "gene": "Gene",
            "additive": "Sum",
            "both": "Together",
            "departure": "Departure",
            "error": "± s.e.",
            "q": "q",
        }
        table = called.reindex(columns=list(names)).set_axis(list(names.values()), axis=1)
        formats = {"q": st.column_config.NumberColumn(format="%.2g")} | {
            label: st.column_config.NumberColumn(format="%.2f")
            for label in ("Sum", "Together", "Departure", "± s.e.")
        }
        show_table(table.head(TABLE_ROWS), column_config=formats, key=f"{key}_table")
    download_table(
        found.table,
        "Download all genes (CSV)",
        f"{run.name}_{found.name}_{what.lower()}_additivity.csv",
        f"{key}_csv",
    )


def coefficient_words(found: Coefficients | None) -> str:
    if found is None:
        return (
            "Fewer than 10 genes respond: the coefficients of the combination on its parts are not defined."
        )
    weights = " + ".join(
        f"{weight:.2f} × {plain(part)}" for weight, part in zip(found.weights, found.parts, strict=True)
    )
    dominance = (
        "" if found.dominance is None else f" · dominance {number(found.dominance, 2)} (0: both count alike)"
    )
    return (
        f"Together ≈ **{weights}** (Theil-Sen over {found.genes:,} responding genes, correlation "
        f"{number(found.fit, 2)}) · magnitude {number(found.magnitude, 2)} (1.41 for two that add up, 1.73 "
        f"for three; noise in the parts lowers it){dominance}"
    )


# Paths ------------------------------------------------------------------------------------------------------


def paths(run: RunFolder, one: Answered) -> None:
    """Which paths carry the effect on a gene, and how much of it."""
    reach = loaders.reach(run)
    panel = set(reach.panel.genes)
    targets = [gene for gene in one.table.loc[~one.table["perturbed"], "gene"] if gene in panel]
    if not targets:
        st.info(
            "No measured gene of the panel but the knocked-down ones: there is nowhere for a path to lead."
        )
        return
    target = (
        st.selectbox(
            "Effect on (strongest predicted first)", targets, help=meaning("effect"), key="whatif_target"
        )
        or targets[0]
    )
    for gene in one.scenario.asked.genes:
        with shell.errors_in_words():
            if gene in one.answer.by_network:
                movers(run, gene)
            else:
                carried(run, one, gene, target)


def carried(run: RunFolder, one: Answered, gene: str, target: str) -> None:
    """Paths of the network from one knocked-down gene to a target, and what each carries of the change."""
    reach, network = loaders.reach(run), loaders.network(run)
    hops = run.settings().loss.hops
    trace = loaders.trace(run, (gene,), target, min(hops, state.MAX_HOPS), 0.0)
    table = trace.table().head(MOST_PATHS)
    columns = {"path": "Path", "probability": "Probability", "share": "Share of the influence"}
    signed = network.strength is not None
    if signed:
        change = (
            reach.doses(one.scenario.asked)[gene]
            * reach.change[reach.panel.position(gene)]
            * trace.influence
            / np.log(2)
        )
        table = table.assign(carried=table["share"] * change)
        columns["carried"] = "Carries (log2 fold change)"
        words = (
            f"Through the network {plain(gene)} is expected to change {plain(target)} by **{change:+.2f}** "
            "(log2 fold change)"
        )
    else:
        words = (
            f"The influence of {plain(gene)} on {plain(target)} over {hops} hops is "
            f"**{trace.influence:.3g}**, without a sign"
        )
    st.markdown(
        f"{words}; {percent(trace.explained)} of it over the paths below, {percent(trace.remainder)} over "
        "others."
    )
    if table.empty or not trace.influence:
        st.caption(
            f"No path of at most {hops} hops carries anything: what is predicted beyond that is the "
            "decoder's own."
        )
        return
    formats = {
        label: st.column_config.NumberColumn(format="%.3g") for label in columns.values() if label != "Path"
    }
    named = table.reindex(columns=list(columns)).set_axis(list(columns.values()), axis=1)
    show_table(named, column_config=formats, key=f"whatif_paths_{gene}")
    st.button(
        f"Open {plain(gene)} to {plain(target)} in Network",
        key=f"whatif_open_{gene}",
        on_click=partial(open_path, gene, target),
    )
    if st.session_state.pop("whatif_leave", None) == gene:
        st.switch_page("pages/network.py")


def open_path(gene: str, target: str) -> None:
    state.put(**{state.PATH_SOURCE: (gene,), state.PATH_TARGET: target, state.PATH_ROW: None})
    st.session_state["whatif_leave"] = gene


def movers(run: RunFolder, gene: str) -> None:
    """What the network's answer for a gene without training cells rests on."""
    screen, weights = loaders.network_only(run)
    table = screen.moved_by(gene)
    if not screen.panel.is_measured[screen.panel.position(gene)]:
        st.markdown(
            f"{plain(gene)} is not measured, so no perturbation is known to move it: the answer is the mean "
            "over the perturbations."
        )
    elif table.empty:
        st.markdown(
            f"No training perturbation moves {plain(gene)} beyond doubt: the answer leans on the mean over "
            "the perturbations."
        )
    else:
        st.markdown(
            f"No cell speaks of paths out of {plain(gene)}. It rests on the perturbations that move it, and "
            "what else they change:"
        )
        names = {
            "perturbation": "Perturbation",
            "change": f"Change of {gene} (log2 fold change)",
            "probability": "Probability of an effect",
        }
        show_table(table.rename(columns=names), key=f"whatif_movers_{gene}")
    parts = ", ".join(f"{name} {value:.2f}" for name, value in weights.table().items())
    st.caption(
        f"Weights of its parts, as they predicted {weights.left_out} training perturbations left out in "
        f"turn: {parts}. Where all but the mean are 0, the network predicted those no better than the mean "
        "over the other perturbations does, and that mean is the answer."
    )


# How good such answers are ----------------------------------------------------------------------------------


def how_good(run: RunFolder) -> None:
    st.subheader("How good are answers about genes that were never perturbed?")
    report = loaders.unseen(run)
    if not report:
        st.markdown(
            "**Not measured for this run.** Whole perturbations can be held out with all their cells and "
            "predicted by the network alone, beside the mean over the other perturbations."
        )
        st.code(command("gpovae", "unseen", run.path), language="bash")
        if run.has("cells.h5ad") and st.button("Measure it now", key="whatif_measure"):
            measure(run)
        return
    st.caption(
        f"Whole perturbations of this run held out with all their cells, {report.get('at_once')} at a time, "
        f"{report.get('draws')} draws, seed {report.get('seed')}; predicted by the network alone, against "
        "cells that nothing was learned from. The perturbed gene itself is left out."
    )
    show_table(score_table(report), key="whatif_scores")
    st.markdown(verdict(report))
    each = held_out_table(report)
    if len(each):
        with st.expander("Every held-out perturbation"):
            show_table(each, key="whatif_each")
            download_table(each, "Download this table (CSV)", f"{run.name}_unseen.csv", "whatif_each_csv")


def measure(run: RunFolder) -> None:
    from gpovae_core.workflow import measure_unseen

    bar = st.progress(0.0, text="Holding out whole perturbations …")

    def tell(words: str, share: float) -> None:
        bar.progress(min(1.0, share), text=plain(words))

    with shell.errors_in_words(), run.working():
        measure_unseen(run.path, run.settings(), report=tell)
        st.rerun()


METHODS = {
    "network": "Network alone",
    "perturbation_mean": "Mean over perturbations",
    "mean_of_others": "The same without own falls",
}


def score_table(report: dict[str, Any]) -> pd.DataFrame:
    """rho and error of the network beside the baselines and the ceiling."""
    rows = []
    for key, words in (
        ("pooled", "All held-out"),
        ("with_known_path", "Moved by some training perturbation"),
    ):
        part = report.get(key)
        for score, label in (
            ("rho", "rho, pooled"),
            ("median_rho", "rho, median of perturbations"),
            ("rmse", "root mean square error"),
        ):
            values = {name: number(pick(part, score, method)) for method, name in METHODS.items()}
            no_effect = number(pick(part, score, "no_effect")) if score == "rmse" else ""
            ceiling = number(pick(part, score, "ceiling")) if score == "median_rho" else ""
            count = pick(part, "perturbations")
            rows.append(
                {
                    "Perturbations": f"{words} ({number(count)})",
                    "Score": label,
                    **values,
                    "No effect": no_effect,
                    "Ceiling": ceiling,
                }
            )
    return pd.DataFrame(rows)


def verdict(report: dict[str, Any]) -> str:
    """What to make of it, in one sentence."""
    rho, base = (pick(report, "pooled", "rho", name) for name in ("network", "perturbation_mean"))
    error, base_error = (pick(report, "pooled", "rmse", name) for name in ("network", "mean_of_others"))
    if not all(isinstance(value, int | float) for value in (rho, base, error, base_error)):
        return "What was measured does not suffice to compare the network with the mean."
    if rho > base + 0.02 and error < base_error:
        return (
            "In this run the network alone predicts unseen perturbations **better than the mean** over the "
            "others."
        )
    return (
        "In this run the network alone does **not** predict unseen perturbations better than the mean over "
        "the others: take such answers as little more than what an average perturbation of this screen "
        "does."
    )
