"""Predicted against observed effects: the table behind the figures, its agreement, and the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.cluster.hierarchy import leaves_list, linkage

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.response import pearson, r2
from gpovae_core.plots import theme
from gpovae_core.plots.labels import place_labels

if TYPE_CHECKING:
    from gpovae_core.runs.stored_effects import Effects

Reference = Literal["test", "all"]
LAYER: dict[str, str] = {"test": keys.OBSERVED_TEST, "all": keys.OBSERVED_ALL}
SCATTER_WIDTH, SCATTER_HEIGHT = 560, 470
"""Pixels the labels are laid out for; a wider figure only moves them apart."""
FOLD_AXIS = f"Effect ({theme.EFFECT_UNIT})"
EXPRESSION_AXIS = "Expression (log2(counts per 10,000 + 1))"
HEAT_ROWS, HEAT_GENES = 80, 40
"""Perturbations and genes of the heat map at most: more cannot be told apart on a screen."""
ROWS = 100
"""Perturbations whose effects on all genes are looked at together, where a figure needs all of them."""
MOST_POINTS = 400
"""Cells drawn as single points in a distribution; of more, only the shape is drawn."""
_INNER_WIDTH, _INNER_HEIGHT = SCATTER_WIDTH - 96, SCATTER_HEIGHT - 152


def response_table(effects: Effects, perturbation: str, reference: Reference = "test") -> pd.DataFrame:
    """One row per measured gene of one perturbation, strongest first by what is to be believed of its effect.

    Columns: gene; observed, observed_se, shrunk (what is to be believed of it), predicted, predicted_sd and
    train_mean (effect in the training cells: the baseline), all log2 fold changes of mean shares without the
    common lift; log_observed, log_predicted, log_train_mean, differences of mean log2(counts per 10,000 + 1),
    on which predictions are scored; target (bool: the perturbed gene itself). Raises QueryError for a
    perturbation without a row.
    """
    if perturbation not in effects.obs_names:
        raise QueryError(
            f"There is no effect of '{perturbation}' in this run. It has {effects.n_obs} perturbations."
        )
    row = effects.obs_names.get_loc(perturbation)

    def layer(name: str) -> np.ndarray:
        return (
            np.asarray(effects.layers[name][row]).ravel()
            if name in effects.layers
            else np.full(effects.n_vars, np.nan)
        )

    observed, predicted = keys.fold(LAYER[reference]), keys.fold(keys.PREDICTED)
    table = pd.DataFrame(
        {
            "gene": effects.var_names.astype(str),
            "observed": layer(observed),
            "observed_se": layer(keys.standard_error(observed)),
            "shrunk": layer(keys.shrunk(observed)),
            "predicted": layer(predicted),
            "predicted_sd": layer(keys.standard_error(predicted)),
            "train_mean": layer(keys.fold(keys.OBSERVED_TRAIN)),
            "log_observed": layer(LAYER[reference]),
            "log_predicted": layer(keys.PREDICTED),
            "log_train_mean": layer(keys.OBSERVED_TRAIN),
        }
    )
    table["target"] = table["gene"].isin(keys.genes_of(perturbation))
    strength = table[["shrunk", "observed"]].abs().fillna(-1).to_numpy()
    order = np.lexsort((-strength[:, 1], -strength[:, 0]))
    return table.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class Agreement:
    """Pearson correlation and coefficient of determination over `genes` genes; NaN where undefined."""

    rho: float
    r2: float
    genes: int


def agreement(table: pd.DataFrame, prediction: str = "predicted") -> Agreement:
    """How well a prediction of a response table ("predicted", or the baseline "train_mean") meets what was
    observed, over the genes that have both; on differences of mean log2(counts per 10,000 + 1), as
    predictions are scored.
    """
    columns = (f"log_{prediction}", "log_observed")
    guess, truth = (table[[column]].to_numpy(dtype=float).ravel() for column in columns)
    both = np.isfinite(guess) & np.isfinite(truth)
    return Agreement(
        rho=pearson(truth[both], guess[both]), r2=r2(truth[both], guess[both]), genes=int(both.sum())
    )


def clearest(effects: Effects, reference: Reference = "test") -> list[str]:
    """Perturbations, those first whose observed effects are best told from their noise; without those that
    were not observed.

    Squared effects beyond the noise over squared standard errors, both summed over the genes, so that many
    cells and a strong response both count. Gene by gene, genes that few cells show, and whose error is
    therefore too small, would decide, and with them the perturbation with the fewest cells.
    """
    name = LAYER[reference]
    known = [np.isfinite(part).all(axis=1) & (part.shape[1] > 0) for part in _row_blocks(effects, name)]
    noise, whole = (
        np.concatenate([(np.nan_to_num(part) ** 2).sum(axis=1) for part in _row_blocks(effects, layer)])
        for layer in (keys.standard_error(name), name)
    )
    signal = whole - noise
    told = np.divide(signal, noise, out=np.full_like(noise, -1.0), where=noise > 0)
    order = np.argsort(-told, kind="stable")
    seen = np.concatenate(known)
    return [str(effects.obs_names[row]) for row in order if seen[row]]


def _row_blocks(effects: Effects, layer: str) -> Iterator[np.ndarray]:
    """(ROWS or fewer, G) float64 values of a layer; an empty block where there is no row."""
    for start in range(0, max(effects.n_obs, 1), ROWS):
        yield np.asarray(effects.layers[layer][start : start + ROWS], dtype=float)


def effect_sizes(effects: Effects, reference: Reference = "test") -> pd.Series:
    """Root mean square over genes of what is to be believed of the observed effects of every perturbation
    (log2 fold changes of mean shares); NaN without cells.
    """
    name = keys.shrunk(keys.fold(LAYER[reference]))
    squares: np.ndarray = np.full(effects.n_obs, np.nan)
    if name in effects.layers:
        squares = np.concatenate([(part**2).mean(axis=1) for part in _row_blocks(effects, name)])
    return pd.Series(np.sqrt(squares), index=effects.obs_names.astype(str))


@dataclass(frozen=True)
class DirectionOfChange:
    """Of the changed genes (adjusted p below the level) with a prediction: the share whose sign is right, and
    how many there are.
    """

    share: float
    genes: int


def changed(table: pd.DataFrame, significance: float = 0.05) -> pd.DataFrame:
    """Rows of a response table whose gene changed: adjusted p below `significance`."""
    return table.loc[table["adjusted"] < significance]


def same_direction(table: pd.DataFrame, prediction: str = "predicted") -> DirectionOfChange:
    """How often a column of (the changed rows of) a response table has the sign of "observed"."""
    both = table.dropna(subset=["observed", prediction])
    right = np.sign(both["observed"]) == np.sign(both[prediction])
    return DirectionOfChange(float(right.mean()) if len(both) else float("nan"), len(both))


TESTED = ("cells", "p", "adjusted", "control")
"""What a test of every gene adds to a response table."""


def with_tests(table: pd.DataFrame, tests: pd.DataFrame | None) -> pd.DataFrame:
    """A response table with low and high (95 % interval of the observed effect: 1.96 standard errors), and
    TESTED: cells, p, adjusted and control (mean in control cells).

    tests: effects.changes.observed_changes of the same cells; None: TESTED is NaN.
    """
    reach = keys.NORMAL_95 * table["observed_se"]
    table = table.assign(low=table["observed"] - reach, high=table["observed"] + reach)
    if tests is None:
        return table.assign(**dict.fromkeys(TESTED, np.nan))
    table[list(TESTED)] = tests.reindex(table["gene"])[list(TESTED)].to_numpy()
    return table


def response_scatter(
    table: pd.DataFrame, perturbation: str, labelled: int = 20, selected: str | None = None
) -> go.Figure:
    """Predicted against observed effect, one point per gene; identity line, target marked, the strongest
    genes named.
    """
    title = f"{keys.for_reading(perturbation)}: predicted against observed"
    shown = table.dropna(subset=["observed", "predicted"])
    if shown.empty:
        return theme.empty(title, "Nothing to compare: no gene has both an observed and a predicted effect.")
    low, high = _limits(shown[["observed", "predicted"]].to_numpy())
    figure = go.Figure()
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": theme.GREY, "dash": "dot"},
        name="Equal",
        hoverinfo="skip",
    )
    points = _Points(
        shown, "observed", "predicted", (low, high), (low, high), "observed %{x:.2f}<br>predicted %{y:.2f}"
    )
    points.draw(figure, {"Gene": (~shown["target"].to_numpy(), theme.BLUE, "circle")}, selected, labelled)
    theme.style(
        figure,
        title,
        f"Observed effect ({theme.EFFECT_UNIT})",
        f"Predicted effect ({theme.EFFECT_UNIT})",
        height=SCATTER_HEIGHT,
    )
    return points.frame(figure)


def volcano(
    table: pd.DataFrame,
    perturbation: str,
    significance: float = 0.05,
    labelled: int = 20,
    selected: str | None = None,
) -> go.Figure:
    """Fold change of mean shares against -log10 p, one point per gene; the line is the largest p that is
    still significant after adjustment.
    """
    title = f"{keys.for_reading(perturbation)}: which genes changed"
    shown = table.dropna(subset=["observed", "p"])
    if shown.empty:
        return theme.empty(
            title,
            "No gene can be tested: too few cells in the chosen reference, or no cells in this run.",
        )
    shown = shown.assign(surprise=-np.log10(shown["p"].clip(lower=1e-300)))
    reach = 1.12 * float(shown["observed"].abs().max()) or 0.1
    top = 1.1 * float(shown["surprise"].max()) or 0.1
    figure = go.Figure()
    passing = changed(shown, significance)
    if len(passing):
        line = float(passing["surprise"].min())
        figure.add_scatter(
            x=[-reach, reach],
            y=[line, line],
            mode="lines",
            line={"color": theme.GREY, "dash": "dot"},
            name=f"Adjusted p {significance:g}",
            hoverinfo="skip",
        )
    hover = "log2 fold change %{x:.2f}<br>-log10 p %{y:.1f}"
    points = _Points(shown, "observed", "surprise", (-reach, reach), (-0.04 * top, top), hover)
    points.draw(figure, _by_change(shown, significance), selected, labelled)
    theme.style(
        figure,
        title,
        FOLD_AXIS,
        "-log10 p (rank test, no unit)",
        height=SCATTER_HEIGHT,
    )
    return points.frame(figure)


def ma_plot(
    table: pd.DataFrame,
    perturbation: str,
    significance: float = 0.05,
    labelled: int = 20,
    selected: str | None = None,
) -> go.Figure:
    """Fold change of mean shares (M) against the mean expression of both groups (A), one point per gene."""
    title = f"{keys.for_reading(perturbation)}: effect by expression"
    shown = table.dropna(subset=["observed", "control"])
    if shown.empty:
        return theme.empty(title, "Nothing to draw: no cells in the chosen reference, or none in this run.")
    shown = shown.assign(expression=shown["control"] + shown["log_observed"] / 2)
    figure = go.Figure()
    right = 1.06 * float(shown["expression"].max()) or 0.1
    reach = 1.12 * float(shown["observed"].abs().max()) or 0.1
    figure.add_scatter(
        x=[0, right],
        y=[0, 0],
        mode="lines",
        line={"color": theme.GREY, "dash": "dot"},
        name="No effect",
        hoverinfo="skip",
    )
    points = _Points(
        shown,
        "expression",
        "observed",
        (-0.03 * right, right),
        (-reach, reach),
        "expression %{x:.2f}<br>log2 fold change %{y:.2f}",
    )
    points.draw(figure, _by_change(shown, significance), selected, labelled)
    theme.style(figure, title, EXPRESSION_AXIS, FOLD_AXIS, height=SCATTER_HEIGHT)
    return points.frame(figure)


def _by_change(table: pd.DataFrame, significance: float) -> dict[str, tuple[np.ndarray, str, str]]:
    """Name of each group of points -> (rows, colour, symbol)."""
    sure, up = (table["adjusted"] < significance).to_numpy(), (table["observed"] > 0).to_numpy()
    other = ~table["target"].to_numpy()
    return {
        "Not significant": (~sure & other, theme.GREY, "circle"),
        "Up": (sure & up & other, theme.ORANGE, "triangle-up"),
        "Down": (sure & ~up & other, theme.BLUE, "triangle-down"),
    }


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.12 * (high - low) or 0.1
    return low - margin, high + margin


@dataclass(frozen=True)
class _Points:
    """One point per gene at two columns of a table, within the given ranges. Points carry their gene, so that
    a click can be told.
    """

    table: pd.DataFrame
    x: str
    y: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    hover: str

    def draw(
        self,
        figure: go.Figure,
        groups: dict[str, tuple[np.ndarray, str, str]],
        selected: str | None,
        labelled: int,
    ) -> None:
        """Groups in WebGL, thousands stay fluid; above them the perturbed gene as a star, the selected one in
        a ring, and names.
        """
        for name, (rows, color, symbol) in groups.items():
            if rows.any():
                figure.add_scattergl(**self._trace(self.table.loc[rows], color, symbol, 6, name))
        targets = self.table.loc[self.table["target"]]
        if len(targets):
            figure.add_scatter(**self._trace(targets, theme.TARGET, "star", 14, "Perturbed gene"))
        ring = self.table.loc[self.table["gene"] == selected]
        if len(ring):
            figure.add_scatter(**self._trace(ring, theme.PURPLE, "circle-open", 15, "Chosen gene"))
        for annotation in self._annotations(selected, labelled):
            figure.add_annotation(**annotation)

    def frame(self, figure: go.Figure) -> go.Figure:
        """The ranges and margins that the names were laid out for."""
        figure.update_layout(
            margin={"l": 64, "r": 32, "t": 56, "b": 96}, dragmode="pan", clickmode="event+select"
        )
        figure.update_xaxes(range=list(self.x_range), zeroline=True)
        return figure.update_yaxes(range=list(self.y_range), zeroline=True)

    def _trace(self, table: pd.DataFrame, color: str, symbol: str, size: int, name: str) -> dict[str, object]:
        return {
            "x": table[self.x],
            "y": table[self.y],
            "mode": "markers",
            "marker": {"color": color, "symbol": symbol, "size": size, "opacity": 1.0}
            | ({"line": {"width": 3}} if size == 15 else {}),
            "unselected": {"marker": {"opacity": 1.0}},
            "name": name,
            "text": theme.texts(list(table["gene"])),
            "customdata": list(table["gene"]),
            "hovertemplate": f"%{{text}}<br>{self.hover}<extra></extra>",
        }

    def _annotations(self, selected: str | None, labelled: int) -> list[dict[str, object]]:
        """Names beside the points: the chosen and the perturbed gene first, then the strongest, each where it
        covers nothing.
        """
        first = np.asarray(self.table["target"]) | np.asarray(self.table["gene"] == selected)
        ordered = pd.concat([self.table.loc[first], self.table.loc[~first]])
        x, y = ordered[[self.x, self.y]].to_numpy(dtype=float).T
        names = [theme.shorten(gene, 16) for gene in ordered["gene"].head(labelled)]
        (left, right), (bottom, top) = self.x_range, self.y_range
        across, down = (x - left) / (right - left) * _INNER_WIDTH, (top - y) / (top - bottom) * _INNER_HEIGHT
        return [
            {
                "x": float(x[label.point]),
                "y": float(y[label.point]),
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
            for label in place_labels(across, down, names, _INNER_WIDTH, _INNER_HEIGHT)
        ]


def ranked_bars(
    table: pd.DataFrame, perturbation: str, count: int = 20, selected: str | None = None
) -> go.Figure:
    """The strongest observed effects, each above what the model predicts, with intervals.

    Observed: 95 % confidence interval. Predicted: 1.96 standard deviations over guide samples.
    """
    title = f"{keys.for_reading(perturbation)}: strongest observed effects"
    shown = table.dropna(subset=["observed"]).head(count).iloc[::-1]
    if shown.empty:
        return theme.empty(
            title, "No effect was observed: in this reference no cells of it stand beside controls."
        )
    figure = _paired_bars(shown, selected)
    theme.style(
        figure, title, f"Effect ({theme.EFFECT_UNIT})", "Gene (★ perturbed, ◯ chosen)", height=SCATTER_HEIGHT
    )
    return figure.update_layout(margin={"l": 64, "r": 16, "t": 56, "b": 96})


def path_bars(
    table: pd.DataFrame, source: str, genes: tuple[str, ...], selected: str | None = None
) -> go.Figure:
    """Observed and predicted effect of the source on every gene of a path, in the order of the path. table:
    of the source.
    """
    title = f"What perturbing {source} does along the path"
    rows = table.set_index("gene").reindex(list(genes)).reset_index()
    rows["target"] = rows["gene"] == genes[0]
    if not np.isfinite(rows[["observed", "predicted"]].to_numpy(dtype=float)).any():
        return theme.empty(title, "None of these genes is measured, so there is no effect to show.")
    figure = _paired_bars(rows.iloc[::-1], selected)
    theme.style(
        figure,
        title,
        f"Effect of {source} ({theme.EFFECT_UNIT})",
        "Gene, from the source down",
        height=120 + 56 * len(genes),
    )
    return figure.update_layout(margin={"l": 64, "r": 16, "t": 56, "b": 96})


def _paired_bars(shown: pd.DataFrame, selected: str | None) -> go.Figure:
    """Observed above predicted, one pair of bars per row, with intervals; the last row on top."""
    rows = np.arange(len(shown))
    figure = go.Figure()
    wide = keys.NORMAL_95 * shown["predicted_sd"].fillna(0)
    for offset, column, above, below, name, color in (
        (
            0.2,
            "observed",
            shown["high"] - shown["observed"],
            shown["observed"] - shown["low"],
            "Observed, 95 % interval",
            theme.OBSERVED,
        ),
        (-0.2, "predicted", wide, wide, "Predicted, 95 % of model draws", theme.PREDICTED),
    ):
        figure.add_bar(
            x=shown[column],
            y=rows + offset,
            width=0.38,
            orientation="h",
            marker={"color": color},
            unselected={"marker": {"opacity": 1.0}},
            name=name,
            error_x={
                "type": "data",
                "array": above.fillna(0),
                "arrayminus": below.fillna(0),
                "symmetric": False,
                "thickness": 1.5,
                "width": 3,
                "color": theme.ORANGE,  # seen on both bars and on both backgrounds
            },
            text=theme.texts(list(shown["gene"])),
            customdata=list(shown["gene"]),
            textposition="none",
            hovertemplate="%{text}<br>%{x:.2f}<extra></extra>",
        )
    names = [
        ("★ " if target else "") + ("◯ " if gene == selected else "") + theme.text(gene, 18)
        for gene, target in zip(shown["gene"], shown["target"], strict=True)
    ]
    figure.update_layout(barmode="overlay", bargap=0, clickmode="event+select")
    return figure.update_yaxes(tickmode="array", tickvals=rows, ticktext=names)


def gene_distributions(groups: dict[str, np.ndarray], gene: str) -> go.Figure:
    """Expression of one gene in several groups of cells, measured (grey, blue) and drawn from the model
    (hollow); name -> (cells,).
    """
    title = f"{theme.shorten(gene, 30)}: cells and model draws"
    shown = {name: values for name, values in groups.items() if len(values)}
    if not shown:
        return theme.empty(title, "There are no cells to show.")
    figure = go.Figure()
    for name, values in shown.items():
        colour = theme.GREY if "control" in name else theme.BLUE
        model = name.startswith("Model")
        figure.add_violin(
            x=[f"{theme.text(name, 30)}<br>{len(values):,} {'draws' if model else 'cells'}"] * len(values),
            y=values,
            name=theme.text(name),
            line={"color": colour, "width": 1.5},
            fillcolor="rgba(0,0,0,0)" if model else None,
            points="all" if len(values) <= MOST_POINTS else False,
            pointpos=0,
            jitter=0.6,
            marker={"size": 3, "opacity": 1.0, "symbol": "diamond" if model else "circle"},
            meanline={"visible": True},
            box={"visible": True, "width": 0.12},
            spanmode="hard",
            hoveron="points",
            hovertemplate="%{y:.2f}<extra></extra>",
        )
    theme.style(figure, title, "Group of cells", EXPRESSION_AXIS, height=420)
    return figure.update_layout(showlegend=False, violingap=0.15)


def effect_heatmap(
    observed: pd.DataFrame,
    predicted: pd.DataFrame,
    perturbations: int = HEAT_ROWS,
    genes: int = HEAT_GENES,
    scale: float | None = None,
) -> go.Figure:
    """Observed and predicted effects side by side in one order, rows = perturbations, columns = genes, both
    clustered by the observed ones.

    observed, predicted: (perturbations x genes). Only the strongest `perturbations` and `genes` (root mean
    square of the observed effects) are drawn. Colours end at the 98th percentile of the absolute effects, or
    at `scale`.
    """
    title = "All perturbations: observed and predicted effects"
    known = observed.loc[np.isfinite(observed.to_numpy()).all(axis=1)]
    if known.empty or not len(known.columns):
        return theme.empty(title, "No perturbation has cells in the chosen reference.")
    left = _strongest(known, perturbations, genes)
    right = predicted.reindex(index=left.index, columns=left.columns)
    limit = (
        scale
        or float(np.nanpercentile(np.abs(np.concatenate([left.to_numpy(), right.to_numpy()])), 98))
        or 1.0
    )
    figure = make_subplots(
        cols=2, shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=("Observed", "Predicted")
    )
    names, shown = (
        theme.texts([theme.shorten(name, 16) for name in left.index]),
        theme.texts([theme.shorten(g, 14) for g in left.columns]),
    )
    for column, part in ((1, left), (2, right)):
        figure.add_heatmap(z=part.to_numpy(), coloraxis="coloraxis", hoverinfo="skip", row=1, col=column)
        figure.add_trace(_clickable(part), row=1, col=column)
    height = 190 + max(200, 15 * len(left.index))
    theme.style(figure, title, "Measured gene", "", height=height)
    figure.update_layout(
        coloraxis={
            "colorscale": "RdBu_r",
            "cmin": -limit,
            "cmax": limit,
            "colorbar": {"title": {"text": "log2 fold<br>change"}, "len": 0.8},
        },
        clickmode="event+select",
        margin={"t": 70, "b": 110, "r": 8},
    )
    figure.update_xaxes(
        tickmode="array",
        tickvals=np.arange(len(shown)),
        ticktext=shown,
        tickangle=90,
        tickfont={"size": 8},
        showgrid=False,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=np.arange(len(names)),
        ticktext=names,
        tickfont={"size": 10},
        showgrid=False,
    )
    figure.update_yaxes(title_text="Perturbation", col=1)
    return figure.update_yaxes(title_text="", col=2)


def _strongest(effects: pd.DataFrame, perturbations: int, genes: int) -> pd.DataFrame:
    """The rows and then the columns of largest root mean square, clustered both ways."""
    strength = effects.to_numpy() ** 2
    rows = np.sort(np.argsort(-strength.mean(axis=1), kind="stable")[:perturbations])
    columns = np.sort(np.argsort(-strength[rows].mean(axis=0), kind="stable")[:genes])
    chosen = effects.iloc[rows, columns]
    return chosen.iloc[_clustered(chosen.to_numpy()), _clustered(chosen.to_numpy().T)]


def _clickable(effects: pd.DataFrame) -> go.Scattergl:
    """An invisible point on every field of a heat map, which itself cannot be clicked."""
    across, down = np.meshgrid(np.arange(len(effects.columns)), np.arange(len(effects.index)))
    return go.Scattergl(
        x=across.ravel(),
        y=down.ravel(),
        mode="markers",
        marker={"opacity": 0, "size": 9},
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
        customdata=np.tile(effects.columns.to_numpy(dtype=object), len(effects.index)),
        text=[
            f"{a} → {g}: {v:.2f}"
            for a, values in zip(theme.texts(list(effects.index)), effects.to_numpy(), strict=True)
            for g, v in zip(theme.texts(list(effects.columns)), values, strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _clustered(values: np.ndarray) -> np.ndarray:
    """Order of the rows in which similar ones stand together (average linkage on Euclidean distances)."""
    return (
        leaves_list(linkage(values, "average", optimal_ordering=len(values) <= 300))
        if len(values) > 2
        else np.arange(len(values))
    )
