"""Predicted against observed effects: the table behind the figures, its agreement, and the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.response import pearson, r2
from gpovae_core.plots import theme
from gpovae_core.plots.labels import place_labels

if TYPE_CHECKING:
    from anndata import AnnData

Reference = Literal["test", "all"]
LAYER: dict[str, str] = {"test": keys.OBSERVED_TEST, "all": keys.OBSERVED_ALL}
SCATTER_WIDTH, SCATTER_HEIGHT = 560, 520
"""Pixels the labels are laid out for; a wider figure only moves them apart."""
_INNER_WIDTH, _INNER_HEIGHT = SCATTER_WIDTH - 96, SCATTER_HEIGHT - 152


def response_table(effects: AnnData, perturbation: str, reference: Reference = "test") -> pd.DataFrame:
    """One row per measured gene of one perturbation, strongest observed effect first; log2 units throughout.

    Columns: gene, observed, observed_se, predicted, predicted_sd, train_mean (effect in the training cells: the baseline),
    target (bool: the perturbed gene itself). Raises QueryError for a perturbation without a row.
    """
    if perturbation not in effects.obs_names:
        raise QueryError(f"There is no effect of '{perturbation}' in this run. It has {effects.n_obs} perturbations.")
    row = effects.obs_names.get_loc(perturbation)

    def layer(name: str) -> np.ndarray:
        return np.asarray(effects.layers[name][row]).ravel() if name in effects.layers else np.full(effects.n_vars, np.nan)

    observed = LAYER[reference]
    table = pd.DataFrame(
        {
            "gene": effects.var_names.astype(str),
            "observed": layer(observed),
            "observed_se": layer(keys.standard_error(observed)),
            "predicted": layer(keys.PREDICTED),
            "predicted_sd": layer(keys.standard_error(keys.PREDICTED)),
            "train_mean": layer(keys.OBSERVED_TRAIN),
        }
    )
    table["target"] = table["gene"].isin(perturbation.split(keys.PAIR_SEPARATOR))
    order = np.argsort(-table["observed"].abs().fillna(-1).to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class Agreement:
    """Pearson correlation and coefficient of determination over `genes` genes; NaN where undefined."""

    rho: float
    r2: float
    genes: int


def agreement(table: pd.DataFrame, prediction: str = "predicted") -> Agreement:
    """How well a column of a response table ("predicted", or the baseline "train_mean") meets "observed", over the genes that have both."""
    guess, truth = (table[[column]].to_numpy(dtype=float).ravel() for column in (prediction, "observed"))
    both = np.isfinite(guess) & np.isfinite(truth)
    return Agreement(rho=pearson(truth[both], guess[both]), r2=r2(truth[both], guess[both]), genes=int(both.sum()))


def strongest_perturbation(effects: AnnData, reference: Reference = "test") -> str | None:
    """The perturbation whose observed effects stand out most from their noise; None where nothing was observed.

    Mean squared effect over standard error: by the effects alone the perturbation with the fewest cells would win.
    """
    observed = np.asarray(effects.layers[LAYER[reference]], dtype=float)
    error = np.asarray(effects.layers[keys.standard_error(LAYER[reference])], dtype=float)
    ratio = np.divide(observed, error, out=np.zeros_like(observed), where=np.isfinite(observed) & (error > 0))
    known = np.isfinite(observed).all(axis=1)
    if not known.any() or observed.shape[1] == 0:
        return None
    return str(effects.obs_names[int(np.argmax(np.where(known, (ratio**2).mean(axis=1), -1.0)))])


def response_scatter(table: pd.DataFrame, perturbation: str, labelled: int = 20) -> go.Figure:
    """Predicted against observed effect, one point per gene; identity line, target marked, the strongest genes named."""
    title = f"{perturbation}: predicted against observed"
    shown = table.dropna(subset=["observed", "predicted"])
    if shown.empty:
        return theme.empty(title, "Nothing to compare: no gene has both an observed and a predicted effect.")
    low, high = _limits(shown)
    figure = go.Figure()
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": theme.GREY, "dash": "dot"}, name="Equal", hoverinfo="skip"
    )
    targets = shown.query("target")
    figure.add_scattergl(**_points(shown.query("not target"), theme.BLUE, "circle", 6, "Gene"))
    if len(targets):
        figure.add_scatter(**_points(targets, theme.TARGET, "star", 14, "Perturbed gene"))
    for annotation in _annotations(shown, labelled, low, high):
        figure.add_annotation(**annotation)
    theme.style(figure, title, f"Observed effect ({theme.EFFECT_UNIT})", f"Predicted effect ({theme.EFFECT_UNIT})", height=SCATTER_HEIGHT)
    figure.update_layout(margin={"l": 64, "r": 32, "t": 56, "b": 96})
    figure.update_xaxes(range=[low, high], zeroline=True)
    return figure.update_yaxes(range=[low, high], zeroline=True)


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    values = table[["observed", "predicted"]].to_numpy()
    low, high = float(values.min()), float(values.max())
    margin = 0.12 * (high - low) or 0.1
    return low - margin, high + margin


def _points(table: pd.DataFrame, color: str, symbol: str, size: int, name: str) -> dict[str, object]:
    return {
        "x": table["observed"],
        "y": table["predicted"],
        "mode": "markers",
        "marker": {"color": color, "symbol": symbol, "size": size, "opacity": 0.7 if symbol == "circle" else 1.0},
        "name": name,
        "text": theme.texts(list(table["gene"])),
        "hovertemplate": "%{text}<br>observed %{x:.2f}<br>predicted %{y:.2f}<extra></extra>",
    }


def _annotations(table: pd.DataFrame, labelled: int, low: float, high: float) -> list[dict[str, object]]:
    """Names beside the points: the perturbed gene first, then the strongest, each where it covers nothing."""
    ordered = pd.concat([table.query("target"), table.query("not target")])
    observed, predicted = ordered[["observed", "predicted"]].to_numpy(dtype=float).T
    names = [theme.shorten(gene, 16) for gene in ordered["gene"].head(labelled)]
    scale = high - low
    placed = place_labels(
        (observed - low) / scale * _INNER_WIDTH, (high - predicted) / scale * _INNER_HEIGHT, names, _INNER_WIDTH, _INNER_HEIGHT
    )
    return [
        {
            "x": float(observed[label.point]),
            "y": float(predicted[label.point]),
            "ax": label.dx,
            "ay": label.dy,
            "text": theme.text(names[label.point]),
            "font": {"size": 11},
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "arrowcolor": theme.GREY,
            "standoff": 3,
        }
        for label in placed
    ]


def ranked_bars(table: pd.DataFrame, perturbation: str, count: int = 20) -> go.Figure:
    """The strongest observed effects, each above what the model predicts, with intervals.

    Observed: 95 % confidence interval (1.96 standard errors). Predicted: 1.96 standard deviations over guide samples.
    """
    title = f"{perturbation}: strongest observed effects"
    shown = table.dropna(subset=["observed"]).head(count).iloc[::-1]
    if shown.empty:
        return theme.empty(title, "No effect was observed here: this perturbation has no cells in the chosen reference.")
    rows = np.arange(len(shown))
    figure = go.Figure()
    for offset, column, spread, name, color in (
        (0.2, "observed", "observed_se", "Observed, 95 % interval", theme.OBSERVED),
        (-0.2, "predicted", "predicted_sd", "Predicted, 95 % of model draws", theme.PREDICTED),
    ):
        figure.add_bar(
            x=shown[column],
            y=rows + offset,
            width=0.38,
            orientation="h",
            marker={"color": color},
            name=name,
            error_x={"type": "data", "array": 1.96 * shown[spread].fillna(0), "thickness": 1, "width": 2},
            text=theme.texts(list(shown["gene"])),
            textposition="none",
            hovertemplate="%{text}<br>%{x:.2f}<extra></extra>",
        )
    names = [("★ " if target else "") + theme.text(gene, 18) for gene, target in zip(shown["gene"], shown["target"], strict=True)]
    theme.style(figure, title, f"Effect ({theme.EFFECT_UNIT})", "Gene (★ perturbed)", height=SCATTER_HEIGHT)
    figure.update_layout(barmode="overlay", bargap=0, margin={"l": 64, "r": 16, "t": 56, "b": 96})
    return figure.update_yaxes(tickmode="array", tickvals=rows, ticktext=names)
