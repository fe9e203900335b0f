"""Answers to what-if questions: scenarios side by side over the same genes, and combinations against the sum
of their parts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gpovae_core import keys
from gpovae_core.plots import theme
from gpovae_core.plots.labels import place_labels
from gpovae_core.questions.interactions import Interaction

ROW_HEIGHT = 23
TOP, FOOT, BETWEEN = 64, 86, 60
"""Pixels above the panels, below them, and between two that stand one below the other."""
_SIDE = 420
FOLD_UNIT = "log2 fold change of the share"


def shared_genes(tables: Mapping[str, pd.DataFrame], count: int = 15) -> list[str]:
    """The genes with the strongest predicted effect in any scenario, the perturbed ones first; each scenario
    gives its strongest in turn.

    tables: scenario -> columns gene, effect, perturbed.
    """
    perturbed = [gene for table in tables.values() for gene in table.loc[table["perturbed"], "gene"]]
    ranked = [
        table.loc[table["effect"].notna() & ~table["perturbed"], "gene"].tolist() for table in tables.values()
    ]
    longest = max((len(genes) for genes in ranked), default=0)
    others = [genes[place] for place in range(longest) for genes in ranked if place < len(genes)]
    return list(dict.fromkeys([*perturbed, *others]))[: count + len(set(perturbed))]


def scenarios(tables: Mapping[str, pd.DataFrame], count: int = 10, narrow: bool = False) -> go.Figure:
    """One column per scenario over the same genes: predicted effect with the spread of the model, what was
    measured, the additive expectation.

    tables: scenario -> columns gene, effect, low, high, perturbed; where there are any additive, measured,
    measured_se. narrow: one below the other, each with its name above it and the whole width.
    """
    title = f"Predicted effects, {'★ perturbed' if narrow else 'scenario by scenario'}"
    genes = shared_genes(tables, count)
    if not genes:
        return theme.empty(title, "There is no effect to show.")
    marked = {gene for table in tables.values() for gene in table.loc[table["perturbed"], "gene"]}
    figure = _panels(tables, len(genes), narrow)
    rows = np.arange(len(genes))[::-1]
    seen: set[str] = set()
    for place, table in enumerate(tables.values(), start=1):
        shown = table.set_index("gene").reindex(genes)
        row, column = (place, 1) if narrow else (1, place)
        for trace in _marks(shown, rows):
            figure.add_trace(
                trace.update(showlegend=trace.name not in seen, legendgroup=trace.name), row=row, col=column
            )
            seen.add(str(trace.name))
    height = TOP + FOOT + (ROW_HEIGHT * len(genes) if not narrow else _stack(len(tables), len(genes)))
    theme.style(figure, title, "", "Gene (★ perturbed)", height=height)
    figure.update_xaxes(title_text="", zeroline=True, zerolinewidth=2, matches="x")
    row, column = (len(tables), None) if narrow else (None, (len(tables) + 1) // 2)
    figure.update_xaxes(title_text=theme.EFFECT_UNIT, title_font_size=12, row=row, col=column)
    ticks = [("★ " if gene in marked else "") + theme.text(gene, 18) for gene in genes]
    figure.update_yaxes(
        tickmode="array", tickvals=rows, ticktext=ticks, range=[-0.8, len(genes) - 0.2], title_text=""
    )
    if narrow:
        return figure.update_layout(margin={"l": 8, "r": 8, "t": TOP, "b": FOOT})
    figure.update_yaxes(title_text="Gene (★ perturbed)", col=1)
    return figure.update_layout(margin={"l": 64, "r": 16, "t": TOP, "b": FOOT})


def _panels(tables: Mapping[str, pd.DataFrame], genes: int, narrow: bool) -> go.Figure:
    """An empty panel for each scenario under its name, side by side or, narrow, one below the other."""
    names = [theme.text(theme.shorten(name, 34)) for name in tables]
    if not narrow:
        return make_subplots(
            rows=1, cols=len(tables), shared_yaxes=True, subplot_titles=names, horizontal_spacing=0.03
        )
    between = BETWEEN / _stack(len(tables), genes)
    return make_subplots(rows=len(tables), cols=1, subplot_titles=names, vertical_spacing=between)


def _stack(panels: int, genes: int) -> int:
    """Height in pixels of that many panels one below the other."""
    return panels * ROW_HEIGHT * genes + (panels - 1) * BETWEEN


def _marks(shown: pd.DataFrame, rows: np.ndarray) -> list[go.Scatter]:
    """The points of one scenario; measured and additive ones a little off the line of the prediction."""
    hover = theme.texts(list(shown.index))
    reach = {
        "array": shown["high"] - shown["effect"],
        "arrayminus": shown["effect"] - shown["low"],
        "type": "data",
        "thickness": 2,
        "width": 3,
    }
    marks = [
        go.Scatter(
            x=shown["effect"],
            y=rows,
            mode="markers",
            marker={"color": theme.PREDICTED, ("size"): 9},
            error_x=reach,
            text=hover,
            name="Predicted, model's spread",
            hovertemplate="%{text}<br>predicted %{x:.2f}<extra></extra>",
        )
    ]
    if "additive" in shown:
        marks.append(
            go.Scatter(
                x=shown["additive"],
                y=rows + 0.22,
                mode="markers",
                text=hover,
                marker={"color": theme.ORANGE, "symbol": "diamond-open", "size": 9, "line": {"width": 2}},
                name=("Sum of the single knock-downs"),
                hovertemplate="%{text}<br>sum of single effects %{x:.2f}<extra></extra>",
            )
        )
    if "measured" in shown and np.isfinite(shown["measured"].to_numpy(dtype=float)).any():
        error = {
            "array": keys.NORMAL_95 * shown["measured_se"].fillna(0),
            "type": "data",
            "thickness": 1,
            "width": 2,
        }
        marks.append(
            go.Scatter(
                x=shown["measured"],
                y=rows - 0.22,
                mode="markers",
                text=hover,
                error_x=error,
                marker={"color": theme.OBSERVED, "symbol": "square", "size": 7},
                name="Measured, 95 % interval",
                hovertemplate="%{text}<br>measured %{x:.2f}<extra></extra>",
            )
        )
    return marks


def departures(found: Interaction, title: str, labelled: int = 12) -> go.Figure:
    """The combination against the sum of its parts, one point per gene; on the line the parts add up.
    Non-additive genes are named.
    """
    table = found.table.loc[~found.table["perturbed"]]
    if table.empty:
        return theme.empty(title, "No gene but the perturbed ones is measured.")
    low, high = _limits(table)
    figure = go.Figure()
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": theme.GREY, "dash": "dot"},
        name="Adds up",
        hoverinfo="skip",
    )
    for called, name, color, symbol in (
        (False, "Adds up within error", theme.BLUE, "circle"),
        (True, "Non-additive", theme.TARGET, "diamond"),
    ):
        part = table.loc[table["non_additive"] == called]
        figure.add_scattergl(
            x=part["additive"],
            y=part["both"],
            mode="markers",
            name=(f"{name} ({len(part):,})"),
            text=theme.texts(list(part[("gene")])),
            marker={
                "color": color,
                "symbol": symbol,
                "size": 8 if called else 5,
            },
            customdata=part[["departure", "error"]],
            hovertemplate="%{text}<br>sum %{x:.2f}, both %{y:.2f}<br>"
            "departure %{customdata[0]:.2f} ± %{customdata[1]:.2f}<extra></extra>",
        )
    _name_non_additive(figure, table, (low, high), labelled)
    theme.style(
        figure,
        title,
        f"Sum of the single knock-downs ({FOLD_UNIT})",
        f"Together ({FOLD_UNIT})",
        height=_SIDE + 60,
    )
    figure.update_xaxes(range=[low, high])
    return figure.update_yaxes(range=[low, high])


def _name_non_additive(
    figure: go.Figure, table: pd.DataFrame, limits: tuple[float, float], labelled: int
) -> None:
    """Names beside the first `labelled` non-additive genes, where they hide no other point; limits: of both
    axes.
    """
    low, high = limits
    ranked = pd.concat([table.loc[table["non_additive"]], table.loc[~table["non_additive"]]])
    x, y = ranked["additive"].to_numpy(dtype=float), ranked["both"].to_numpy(dtype=float)
    names = [
        theme.shorten(gene, 16)
        for gene in ranked["gene"].head(min(labelled, int(table["non_additive"].sum())))
    ]
    for label in place_labels(
        (x - low) / (high - low) * _SIDE, (high - y) / (high - low) * _SIDE * 0.8, names, _SIDE, _SIDE * 0.8
    ):
        figure.add_annotation(
            x=float(x[label.point]),
            y=float(y[label.point]),
            ax=label.dx,
            ay=label.dy,
            text=theme.text(names[label.point]),
            font={"size": 11},
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=theme.GREY,
            standoff=3,
        )


def _limits(table: pd.DataFrame) -> tuple[float, float]:
    values = table[["additive", "both"]].to_numpy(dtype=float)
    low, high = float(values.min()), float(values.max())
    margin = 0.1 * (high - low) or 0.1
    return low - margin, high + margin
