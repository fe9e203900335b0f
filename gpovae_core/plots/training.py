"""Curves of a training run, from the table of metrics (one row per epoch)."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from gpovae_core.model.losses import all_terms
from gpovae_core.plots import theme

DASHES = ("solid", "dash", "dot", "dashdot")


def loss_curves(metrics: pd.DataFrame, best_epoch: int | None = None) -> go.Figure:
    """Training and validation loss and the terms of their size, in nats per cell, against the epoch."""
    title = "Loss"
    names = {
        "train_loss": "Training cells",
        "validation_loss": "Validation cells",
        **{term.key: term.title for term in all_terms() if term.beside_loss},
    }
    if metrics.empty:
        return theme.empty(title, "No epoch has finished yet.")
    figure = _lines(metrics, names)
    if best_epoch is not None:
        figure.add_vline(
            x=best_epoch,
            line={"color": theme.GREY, "dash": "dot"},
            annotation_text="kept",
            annotation_position="top left",
        )
    return theme.style(figure, title, "Epoch", "Nats per cell")


def penalty_curves(metrics: pd.DataFrame) -> go.Figure:
    """Every other term of the loss against the epoch; log scale, because they differ by orders of
    magnitude.
    """
    title = "The other terms of the loss"
    if metrics.empty:
        return theme.empty(title, "No epoch has finished yet.")
    terms = [term for term in all_terms() if not term.beside_loss]
    figure = _lines(metrics, {term.key: term.title for term in terms})
    units = ", ".join(dict.fromkeys(term.unit for term in terms))
    theme.style(figure, title, "Epoch", f"{units[:1].upper()}{units[1:]} (log scale)")
    figure.update_yaxes(type="log", dtick=1, exponentformat="none")
    return figure.update_layout(height=420, margin_b=132)


def spread_curves(metrics: pd.DataFrame) -> go.Figure:
    """Mean of W with a band of one standard deviation: whether W has left 0.5, and whether it is
    saturated.
    """
    title = "Edge probabilities W"
    if metrics.empty or not {"w_mean", "w_sd"} <= set(metrics):
        return theme.empty(title, "No epoch has finished yet.")
    epoch, mean, sd = metrics["epoch"], metrics["w_mean"], metrics["w_sd"]
    figure = go.Figure()
    figure.add_scatter(
        x=epoch,
        y=(mean + sd).clip(upper=1),
        mode="lines",
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=epoch,
        y=(mean - sd).clip(lower=0),
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor="rgba(0,114,178,0.2)",
        name="± 1 standard deviation",
        hoverinfo="skip",
    )
    figure.add_scatter(x=epoch, y=mean, mode="lines", line={"color": theme.BLUE}, name="Mean of W")
    figure.add_hline(
        y=0.5,
        line={"color": theme.GREY, "dash": "dot"},
        annotation_text="start",
        annotation_position="top left",
    )
    theme.style(figure, title, "Epoch", "Probability")
    return figure.update_yaxes(range=[0, 1])


def edge_curve(metrics: pd.DataFrame) -> go.Figure:
    """Pairs of different genes with W above 0.5 against the epoch."""
    title = "Edges with W above 0.5"
    if metrics.empty or "edges" not in metrics:
        return theme.empty(title, "No epoch has finished yet.")
    figure = _lines(metrics, {"edges": "Edges"})
    theme.style(figure, title, "Epoch", "Edges").update_yaxes(rangemode="tozero")
    return figure.update_layout(showlegend=False)


def compare_curves(tables: dict[str, pd.DataFrame], column: str = "validation_loss") -> go.Figure:
    """One column of the metrics of several runs against the epoch; name of the run -> its table."""
    title, unit = {
        "validation_loss": ("Validation loss", "Nats per cell"),
        "edges": ("Edges with W above 0.5", "Edges"),
        "w_sd": ("Spread of W", "Standard deviation"),
    }[column]
    drawn = {name: table for name, table in tables.items() if column in table and len(table)}
    if not drawn:
        return theme.empty(title, "None of these runs has finished an epoch.")
    figure = go.Figure()
    for place, (name, table) in enumerate(drawn.items()):
        line = {"color": theme.CYCLE[place % len(theme.CYCLE)], "dash": DASHES[place % len(DASHES)]}
        figure.add_scatter(
            x=table["epoch"],
            y=table[column],
            mode="lines" if len(table) > 1 else "markers",
            line=line,
            name=theme.text(name),
        )
    return theme.style(figure, title, "Epoch", unit).update_layout(showlegend=True)


def latent_curve(metrics: pd.DataFrame, latent: int | None = None) -> go.Figure:
    """Latent dimensions in use against the epoch; few of many means that the model ignores most of its basal
    state.
    """
    title = "Latent dimensions in use"
    if metrics.empty or "active_latent" not in metrics:
        return theme.empty(title, "No epoch has finished yet.")
    figure = _lines(metrics, {"active_latent": "In use"})
    if latent is not None:
        figure.add_hline(
            y=latent,
            line={"color": theme.GREY, "dash": "dot"},
            annotation_text="all",
            annotation_position="bottom left",
        )
    theme.style(figure, title, "Epoch", "Dimensions").update_yaxes(rangemode="tozero")
    return figure.update_layout(showlegend=False)


def _lines(metrics: pd.DataFrame, names: dict[str, str]) -> go.Figure:
    figure = go.Figure()
    mode = "lines" if len(metrics) > 1 else "markers"
    for place, (column, name) in enumerate(names.items()):
        again, color = divmod(place, len(theme.CYCLE))
        line = {"color": theme.CYCLE[color], "dash": DASHES[again % len(DASHES)]}
        if column in metrics:
            figure.add_scatter(x=metrics["epoch"], y=metrics[column], mode=mode, line=line, name=name)
    return figure
