"""The scores of runs as something to read and to keep: one web page without requests, one JSON, one Methods
paragraph.

Everything is taken from the run folder as it stands; nothing but the gene sets is computed anew. Text from a
run is escaped: it is text, never markup.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gpovae_core import __version__
from gpovae_core.config import Settings, changed_from_preset
from gpovae_core.data.atomic import replacing
from gpovae_core.data.effect_tables.report import EffectReport
from gpovae_core.data.schema import PreparationReport
from gpovae_core.errors import QueryError, RunError
from gpovae_core.evaluation.network_scores import Matched, Network
from gpovae_core.evaluation.scores import Evaluation, Line
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.evaluation.summary import lines
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.enrichment import BACKGROUND
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.plots import benchmark
from gpovae_core.reporting import tables
from gpovae_core.reporting.known import gene_set_table
from gpovae_core.reporting.notes import once
from gpovae_core.reporting.paragraph import all_settings, methods, methods_of_effects
from gpovae_core.reporting.sentences import (
    CURVES_IN_WORDS,
    SHARE_IN_WORDS,
    effects_file_in_words,
    held_out_in_words,
    in_one_sentence,
    shares_in_words,
    verdicts,
    what_false_means,
)
from gpovae_core.reporting.words import number
from gpovae_core.runs.folder import RunFolder

FORMATS = (".html", ".json", ".txt")
SEEDS = ("data.seed", "training.seed", "inference.seed", "evaluation.seed")


@dataclass(frozen=True)
class RunReport:
    """What a report says of one run. null: what `gpovae null` stored, empty where it was not asked; effects:
    how its table of effects was read, None where it was made from cells; gene_sets: see `gene_set_table`, at
    the threshold of its settings, None where it has no network; kinds: what was done to the genes, as the
    network stage had it -> how many of them.
    """

    name: str
    data: str
    simulated: bool
    settings: Settings
    evaluation: Evaluation
    null: dict[str, Any]
    preparation: PreparationReport | None
    epochs: int
    best_epoch: int | None
    effects: EffectReport | None = None
    gene_sets: pd.DataFrame | None = None
    kinds: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, run: RunFolder) -> RunReport:
        """Raises RunError where the run was not evaluated, unless it was made from effects and cannot be."""
        evaluation = read_evaluation(run)
        effects = run.effects_report()
        if evaluation is None and run.without_cells and effects is None:
            raise RunError(run.without_cells)
        if evaluation is None and effects is None:
            raise RunError(
                f"Run '{run.name}' has not been evaluated: there is nothing to report. Run `gpovae evaluate "
                f"{run.path}` first."
            )
        source, status = run.source(), run.status()
        return cls(
            name=run.name,
            data=PurePath(source.path).name,
            simulated=source.simulated,
            settings=run.settings(),
            evaluation=evaluation or Evaluation(),
            effects=effects,
            null=run.null(),
            preparation=run.report() if run.has("cells.h5ad") else None,
            epochs=status.epoch,
            best_epoch=status.best_epoch,
            gene_sets=_gene_sets(run),
            kinds=_kinds(run),
        )

    @property
    def lines(self) -> list[Line]:
        return lines(self.evaluation)

    @property
    def network(self) -> Network | None:
        return self.evaluation.network

    @property
    def matched(self) -> Matched | None:
        """Networks at equal numbers of edges; None in runs that were evaluated before this was measured."""
        return None if self.network is None else self.network.matched

    @property
    def complete(self) -> bool:
        """Whether the run was evaluated with everything that a report can say."""
        return self.matched is not None and self.evaluation.against("test").discrimination is not None

    def methods(self) -> str:
        if self.effects is not None:
            return methods_of_effects(self.settings, self.effects)
        trained = self.epochs, self.best_epoch
        return methods(self.settings, self.preparation, self.evaluation, *trained, self.kinds)

    def false_edges(self) -> pd.DataFrame:
        """See `tables.false_edge_table`."""
        return tables.false_edge_table(self.network, self.null)

    def seeds(self) -> str:
        return ", ".join(f"{name.partition('.')[0]} {all_settings(self.settings)[name]}" for name in SEEDS)

    def plain(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return {
            "run": self.name,
            "data": self.data,
            "simulated": self.simulated,
            "gpovae": __version__,
            "epochs": self.epochs,
            "summary": [asdict(line) for line in self.lines],
            "verdicts": verdicts(self.evaluation),
            "methods": self.methods(),
            "settings": all_settings(self.settings),
            "effects": self.effects.model_dump(mode="json") if self.effects else None,
            "preparation": self.preparation.model_dump(mode="json") if self.preparation else None,
            "evaluation": self.evaluation.to_json(),
            "null": self.null,
            "gene_sets": [] if self.gene_sets is None else self.gene_sets.to_dict("records"),
        }


def _gene_sets(run: RunFolder) -> pd.DataFrame | None:
    """None where the run has no network, or it cannot be read: its scores are reported all the same."""
    if run.without_network:
        return None
    try:
        return gene_set_table(GeneNetwork.from_run(run, measured=False), run.settings().evaluation.threshold)
    except RunError:
        return None


def _kinds(run: RunFolder) -> Mapping[str, int]:
    """What was done to the genes, as the network stage had it -> how many; empty where the run has none."""
    try:
        arrays = run.network_arrays()
    except RunError:
        return {}
    if not arrays:
        return {}
    fit = NetworkFit.from_arrays(arrays)
    return Counter(fit.own.kind[np.isfinite(fit.effect).any(axis=1)].tolist())


def write_report(runs: Sequence[RunFolder], out: Path) -> None:
    """Write the report of one run, or of several side by side, in the format that the ending of `out`
    names.
    """
    if out.suffix not in FORMATS:
        raise QueryError(f"A report is written as {', '.join(FORMATS)}; '{out.name}' ends otherwise.")
    reports = [RunReport.of(run) for run in runs]
    write = {".html": report_html, ".json": report_json, ".txt": report_text}[out.suffix]
    with replacing(out) as aside:
        aside.write_text(write(reports), encoding="utf-8")


def report_json(reports: Sequence[RunReport]) -> str:
    """One object per run, in a list where there are several."""
    plain = [report.plain() for report in reports]
    return json.dumps(plain[0] if len(plain) == 1 else plain, indent=2, allow_nan=False)


def report_text(reports: Sequence[RunReport]) -> str:
    """The Methods paragraph and all settings of every run, plain text."""
    parts = []
    for report in reports:
        settings = "; ".join(
            f"{name} = {_value(value)}" for name, value in all_settings(report.settings).items()
        )
        parts.append(f"{report.name}\n\n{report.methods()}\n\nAll settings: {settings}.\n")
    return "\n\n".join(parts)


def _value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | list | dict) or value is None else str(value)


# Several runs -----------------------------------------------------------------------------------------------


def groups(reports: Sequence[RunReport]) -> dict[str, list[RunReport]]:
    """Runs that differ in nothing but their seeds (same data by name, same settings) together, under the name
    of data and changes.
    """
    found: dict[tuple[str, str], list[RunReport]] = {}
    for report in reports:
        fixed = {name: value for name, value in all_settings(report.settings).items() if name not in SEEDS}
        found.setdefault(
            (report.data, json.dumps([report.settings.preset, fixed], sort_keys=True)), []
        ).append(report)
    named: dict[str, list[RunReport]] = {}
    for members in found.values():
        name = (
            members[0].name
            if len(members) == 1
            else f"{members[0].data}, {_changes(members[0].settings)}, {len(members)} seeds"
        )
        while name in named:
            name += " *"
        named[name] = members
    return named


def _changes(settings: Settings) -> str:
    """The preset and what differs from it, in short."""
    own = all_settings(settings)
    names = [(field, f"{section}.{field}") for section, field in changed_from_preset(settings)]
    changed = [f"{field} {own[name]}" for field, name in names if name not in SEEDS]
    return ", ".join([settings.preset, *changed])


def comparison_table(reports: Sequence[RunReport]) -> pd.DataFrame:
    """One row per score, one column per group of runs: value (mean ± sd over seeds), share of the achievable,
    best without a model.
    """
    columns = {
        name: {
            line.name: [found for one in members for found in one.lines if found.name == line.name]
            for line in members[0].lines
        }
        for name, members in groups(reports).items()
    }
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    return pd.DataFrame(
        [
            {"Score": name, **{run: _together(column.get(name, [])) for run, column in columns.items()}}
            for name in names
        ]
    )


def _together(found: Sequence[Line]) -> str:
    """Over the seeds of a group: value, share of the achievable, and the strongest method without a model."""
    if not found:
        return ""
    words = _spread([line.value for line in found])
    shares = [line.share for line in found if line.share is not None]
    details = [f"{100 * fmean(shares):.0f} % of the achievable"] if len(shares) == len(found) else []
    if all(line.rival is not None for line in found):
        details.append(f"without a model {_spread([line.rival for line in found])}")
    return words + (f" ({'; '.join(details)})" if details else "")


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values) or not known:
        return "not defined"
    return number(fmean(known)) + (f" ± {number(stdev(known))}" if len(known) > 1 else "")


# The page ---------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; font-size: 13px; margin: 0.6em 0 1.2em; }
th, td { border-bottom: 1px solid #8886; padding: 3px 9px; text-align: left; vertical-align: top; }
.note { opacity: 0.75; font-size: 13px; }
.scroll { overflow-x: auto; }
pre { white-space: pre-wrap; font: inherit; }
"""
SIMULATED = "Simulated cells and gene names: nothing here is biology."


def report_html(reports: Sequence[RunReport]) -> str:
    """The report as one file: text, tables and figures, with everything they need inside and no request to
    anywhere.
    """
    title = f"Benchmark of {reports[0].name}" if len(reports) == 1 else f"Benchmark of {len(reports)} runs"
    body = [f"<h1>{html.escape(title)}</h1>"]
    figures = _Figures()
    if len(reports) > 1:
        body += _comparison(reports, figures)
    for report in reports:
        body += _one_run(report, figures, heading=len(reports) > 1)
    meta = "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    head = f"{meta}<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(body)}</body></html>"


class _Figures:
    """Figures as HTML; the first brings the plotly library along, so that it is in the file once."""

    def __init__(self) -> None:
        self.library = False

    def __call__(self, figure: go.Figure) -> str:
        figure.update_layout(
            paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", font_color="#808080", autosize=True
        )
        figure.update_xaxes(gridcolor="#80808040", zerolinecolor="#80808080")
        figure.update_yaxes(gridcolor="#80808040", zerolinecolor="#80808080")
        drawn = figure.to_html(
            full_html=False, include_plotlyjs=not self.library, config={"displaylogo": False}
        )
        self.library = True
        return drawn


def _comparison(reports: Sequence[RunReport], figures: _Figures) -> list[str]:
    words = "Runs that differ in their seeds alone stand together, with mean ± standard deviation."
    parts = [f"<p class='note'>{words}</p>", _table(comparison_table(reports))]
    runs = {report.name: report.matched for report in reports if report.matched is not None}
    for measure in ("mu_wd", "bh_share"):
        parts.append(figures(benchmark.compared_curves(runs, measure)))
    return parts


def _one_run(report: RunReport, figures: _Figures, heading: bool) -> list[str]:
    facts = [
        f"data {report.data}",
        f"preset {report.settings.preset}",
        f"{report.epochs:,} epochs",
        f"seeds: {report.seeds()}",
    ]
    if report.effects is not None:
        facts = [f"data {report.data}", "made from a table of effects, without cells"]
    facts.append(f"gpovae {__version__}")
    parts = [f"<h2>{html.escape(report.name)}</h2>"] if heading else []
    parts.append(f"<p>{html.escape(' · '.join(facts))}</p>")
    if report.simulated:
        parts.append(f"<p><b>{SIMULATED}</b></p>")
    parts.append(f"<p>Held out: {html.escape(held_out_in_words(report.evaluation))}</p>")
    told = [words for words in (in_one_sentence(report.evaluation),) if words] + verdicts(report.evaluation)
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in told]
    if report.effects is not None:
        parts += [_note(line) for line in effects_file_in_words(report.effects)]
    else:
        parts += [
            figures(benchmark.share_bars(report.lines, report.evaluation.held_out_words)),
            "<h3>Every score</h3>",
            _table(tables.score_table(report.lines)),
            _note(SHARE_IN_WORDS),
            *(_note(words) for words in shares_in_words(report.lines)),
        ]
    if report.network is not None and report.matched is not None:
        own = report.network.edges
        parts.append("<h3>At equal numbers of edges</h3>")
        parts += [
            figures(benchmark.matched_curves(report.matched, measure, own=own))
            for measure in ("mu_wd", "bh_share", "left_out")
        ]
        parts.append(_note(CURVES_IN_WORDS))
    false = report.false_edges()
    if len(false):
        cut = None if report.network is None else report.network.threshold
        curve = benchmark.false_edge_curve(false, cut)
        parts += ["<h3>False edges</h3>", figures(curve), _note(what_false_means(report.network))]
    known = {
        "Relabelled controls": tables.null_table(report.null),
        "By path length": tables.hop_table(report.network),
        "Known networks": tables.reference_table(report.network),
        "The true network": tables.truth_table(report.network),
        f"Predicted effects, every method, {report.evaluation.held_out_words}": (
            tables.prediction_table(report.evaluation, "test")
        ),
        "Predicted effects, every method, all cells (flatters: training cells included)": (
            tables.prediction_table(report.evaluation, "all")
        ),
        "Networks with as many edges": tables.edges_table(report.network),
        f"Gene sets among the targets of the largest regulators (against {BACKGROUND})": (
            pd.DataFrame() if report.gene_sets is None else report.gene_sets
        ),
    }
    for title, table in known.items():
        if len(table):
            parts += [f"<h3>{html.escape(title)}</h3>", _table(table)]
    parts += ["<h3>Methods</h3>", f"<pre>{html.escape(report.methods())}</pre>"]
    settings = pd.DataFrame(
        [{"Setting": name, "Value": _value(value)} for name, value in all_settings(report.settings).items()]
    )
    parts += ["<details><summary>All settings</summary>", _table(settings), "</details>"]
    parts += [_note(note) for note in once(report.evaluation.notes)]
    return parts


def _note(words: str) -> str:
    return f"<p class='note'>{html.escape(words)}</p>"


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in table.columns)
    rows = (
        "".join(f"<td>{html.escape(str(value))}</td>" for value in row)
        for row in table.itertuples(index=False)
    )
    return (
        "<div "
        f"class='scroll'><table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table></div>"
    )
