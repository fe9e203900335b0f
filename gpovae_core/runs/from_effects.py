"""A run made from a table of effects, without cells: W, S, T_K and the evidence, by the code that fits them
to the effects of cells.

The panel holds the perturbed genes and the genes that change most clearly. What needs cells (predictions,
scores, tests of single edges, an ensemble) is not in such a run, and says so.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from gpovae_core.config import Settings, make_settings
from gpovae_core.data.atomic import write_text
from gpovae_core.data.effect_tables.known import EffectColumns
from gpovae_core.data.effect_tables.read import read_effects
from gpovae_core.data.effect_tables.report import MeasuredEffects
from gpovae_core.data.memory import panel_too_large
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.effects.contrasts import Contrasts
from gpovae_core.errors import DataError, Problem, SettingsError
from gpovae_core.methods.false_edges import NULL_THRESHOLDS, false_edge_rate, false_edges
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_effects
from gpovae_core.runs.folder import EFFECTS_REPORT, MASK_LOGITS, DataSource, RunFolder

Null = Literal["auto", "controls", "normal", "none"]
"""What is taken for effects where there is none: controls, the rows of the table that name a control, each
value over its error; normal, noise of exactly the stated errors; none: nothing, and the rate of false edges
stays unknown. auto: controls where the table has such rows.
"""
PANEL_EXTRA = 1000
MOST_GENES = 8000
"""W is a square over the panel, and several such matrices are held while it is fitted."""


@dataclass(frozen=True)
class FromEffects:
    """run: as it was made; edges: above the threshold of its settings, out of perturbed genes; null: which
    one was taken; false_edge_rate: estimated at that threshold, None where unknown.
    """

    run: RunFolder
    edges: int
    threshold: float
    null: Null
    false_edge_rate: float | None


def network_from_effects(
    file: Path,
    path: Path,
    panel_extra: int = PANEL_EXTRA,
    columns: EffectColumns | None = None,
    null: Null = "auto",
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> FromEffects:
    """A run at `path` (which must be new) from the effects in `file`. panel_extra: genes beside the perturbed
    ones, those that change most clearly. Raises DataError for a table that cannot be used, SettingsError for
    settings that cannot be.
    """
    settings = settings or make_settings("evidence")
    if settings.model.network != "evidence":
        raise SettingsError(
            f"Effects become a network by the preset evidence; '{settings.preset}' trains W on cells."
        )
    if null not in get_args(Null):
        raise SettingsError(f"effects.null takes {', '.join(get_args(Null))}; got '{null}'.")
    if panel_extra < 0:
        raise SettingsError(f"effects.panel_extra takes a number of genes, 0 or more; got {panel_extra}.")
    tell(progress, "reading the effects", 0.0)
    found = read_effects(file, columns)
    chosen = _null_of(found, null)
    panel = choose_panel(found, panel_extra)
    tell(progress, "fitting the network", 0.1)
    observed = contrasts_of(found, panel)
    draws = null_draws(found, observed, panel, chosen, settings)
    doing = stretch(progress, 0.1, 0.95, "fitting the network: {}")
    fit = fit_effects(len(panel), observed, settings, draws, doing).as_kept()
    tell(progress, "writing the run", 0.95)
    return _write(Path(path), Path(file), found, panel, fit, settings, chosen)


def choose_panel(found: MeasuredEffects, extra: int) -> Panel:
    """The perturbed genes, and the `extra` measured ones with the clearest effect, the largest over its
    standard error, under any perturbation. Raises DataError for a panel too large to be fitted.
    """
    seen = np.isfinite(found.error)
    clear = np.where(seen, np.abs(found.effect) / np.where(seen, found.error, 1.0), -np.inf)
    best = clear.argmax(axis=0)
    size = clear[best, np.arange(len(found.genes))]
    perturbed = set(found.perturbations)
    others = [j for j in np.argsort(-size, kind="stable") if found.genes[j] not in perturbed]
    chosen = [j for j in others if np.isfinite(size[j])][:extra]
    total = len(perturbed) + len(chosen)
    if total > MOST_GENES:
        raise DataError(
            [
                Problem(
                    "panel-too-large",
                    f"The network would span {total:,} genes, {len(perturbed):,} perturbed ones and "
                    f"{len(chosen):,} more; at most {MOST_GENES:,} can be fitted.",
                    f"Set effects.panel_extra to {max(MOST_GENES - len(perturbed), 0)} or fewer.",
                )
            ]
        )
    if huge := panel_too_large(total, len(perturbed)):
        few = f"Set effects.panel_extra to fewer than {len(chosen):,}, or use a machine with more memory."
        raise DataError([replace(huge, hint=few)])
    reasons = {
        found.genes[j]: (
            f"log2 fold change {found.effect[best[j], j] / np.log(2):+.2f} under "
            f"{found.perturbations[best[j]]}, {size[j]:.1f} standard errors"
        )
        for j in chosen
    }
    genes = (*found.perturbations, *reasons)
    measured = set(found.genes)
    return Panel(
        PanelData(
            perturbed=tuple(sorted(perturbed)),
            extended=tuple(sorted(reasons)),
            measured=tuple(sorted(gene for gene in genes if gene in measured)),
            reasons=reasons,
        )
    )


def contrasts_of(found: MeasuredEffects, panel: Panel) -> Contrasts:
    """The effects over the panel; no common lift is taken out of them, which the program that estimated them
    has done by its size factors.
    """
    rows = np.argsort(np.array(found.perturbations, dtype=object))
    p, n = len(rows), len(panel)
    effect, error = np.zeros((p, n)), np.full((p, n), np.inf)
    columns, places = _columns(found, panel)
    effect[:, places], error[:, places] = found.effect[rows][:, columns], found.error[rows][:, columns]
    sources = np.array([panel.index[found.perturbations[row]] for row in rows])
    return Contrasts(sources, effect, error, np.zeros(p), np.zeros(p, dtype=int), 0, np.zeros(n))


def null_draws(
    found: MeasuredEffects, observed: Contrasts, panel: Panel, null: Null, settings: Settings
) -> list[Contrasts]:
    """What would be seen of every perturbation without any effect, `settings.network.null_draws` times."""
    if null == "none":
        return []
    rng = np.random.default_rng(settings.training.seed)
    columns, places = _columns(found, panel)
    draws = []
    for _ in range(settings.network.null_draws):
        z = np.full(observed.effect.shape, np.nan)
        if null == "normal":
            z = rng.standard_normal(z.shape)
        else:
            z[:, places] = found.null[rng.integers(len(found.null), size=len(z))][:, columns]
        error = np.where(np.isfinite(z), observed.error, np.inf)
        draws.append(
            replace(
                observed,
                effect=np.where(np.isfinite(error), z * np.nan_to_num(error, posinf=0), 0.0),
                error=error,
            )
        )
    return draws


def _columns(found: MeasuredEffects, panel: Panel) -> tuple[list[int], list[int]]:
    """Columns of the table that are in the panel, and their places there."""
    columns = [j for j, gene in enumerate(found.genes) if gene in panel.index]
    return columns, [panel.index[found.genes[j]] for j in columns]


def _null_of(found: MeasuredEffects, null: Null) -> Null:
    if null == "controls" and not len(found.null):
        raise DataError(
            [
                Problem(
                    "no-control-rows",
                    f"'{found.report.source}' has no row that names a control (non-targeting, NTC, ...), so "
                    "controls cannot be the null.",
                    "Add effects of non-targeting guides against the other controls, or set effects.null to "
                    "normal.",
                )
            ]
        )
    if null == "auto":
        return "controls" if len(found.null) else "none"
    return null


def _write(
    path: Path,
    file: Path,
    found: MeasuredEffects,
    panel: Panel,
    fit: NetworkFit,
    settings: Settings,
    null: Null,
) -> FromEffects:
    """The run folder, whole or not at all."""
    from safetensors.numpy import save_file
    from scipy.special import expit

    report = found.report.model_copy(update={"panel": len(panel), "null": "" if null == "none" else null})
    run = RunFolder.create(
        path, settings, DataSource(path=str(file.resolve()), imported="a table of effects")
    )
    try:
        write_text(run.path / "panel.json", panel.data.model_dump_json(indent=2))
        write_text(run.path / EFFECTS_REPORT, report.model_dump_json(indent=2))
        run.write_network(fit.arrays())
        logits = np.ascontiguousarray(fit.log_odds, dtype=np.float32)
        save_file({MASK_LOGITS: logits}, run.path / "model.safetensors")
        (run.path / "model.safetensors").chmod(0o644)
        weights, cut = expit(fit.log_odds), settings.evaluation.threshold
        edges = int((weights[np.isfinite(fit.evidence)] > cut).sum())
        rates = false_edges(fit, weights, NULL_THRESHOLDS)
        rate = None
        if null != "none":
            run.write_null(_as_null(rates, cut, settings, null))
            rate = _known(false_edge_rate(fit, weights, cut)[0])
        words = f"{edges:,} edges with W > {cut:g} out of {report.perturbations:,} perturbed genes"
        run.log(f"fitted to the effects in {report.source}: {words}")
        run.write_status(
            state="imported",
            message=f"fitted to a table of effects: {words}; it has no cells, so nothing can be scored",
        )
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return FromEffects(run, edges, cut, null, rate)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _as_null(rates: pd.DataFrame, threshold: float, settings: Settings, null: Null) -> dict[str, object]:
    """As `gpovae null` keeps it with a run; null_of says what was taken."""
    rows = [
        {
            "threshold": float(row["threshold"]),
            "run_edges": int(row["edges"]),
            "estimated_false_edge_rate": _known(row["estimated_false_edge_rate"]),
        }
        for row in rates.to_dict("records")
    ]
    return {
        "preset": settings.preset,
        "seed": settings.training.seed,
        "threshold": threshold,
        "null_of": null,
        "thresholds": rows,
    }
