"""Figures: the numbers drawn are the numbers given, axes have units, names are text."""

import html

import anndata
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.plots import response, theme, training
from tests.fake_run import HOSTILE, make_fake_run


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> anndata.AnnData:
    return make_fake_run(
        tmp_path_factory.mktemp("run") / "r", names=HOSTILE, n_perturbed=8, n_extended=6, n_measured=40
    ).effects()


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_fake_run(
        tmp_path_factory.mktemp("run") / "m", n_perturbed=2, n_extended=1, n_measured=4
    ).metrics()


def strings(figure: go.Figure) -> list[str]:
    """Everything plotly would read as text with tags: labels, annotations, ticks, titles."""
    found = [note.text for note in figure.layout.annotations]
    found += [text for trace in figure.data for text in (trace.text if trace.text is not None else [])]
    found += [text for axis in (figure.layout.xaxis, figure.layout.yaxis) for text in (axis.ticktext or [])]
    return [str(text) for text in [*found, figure.layout.title.text]]


def with_p_values(effects: anndata.AnnData, name: str) -> pd.DataFrame:
    """A response table with p values, every third of them significant."""
    genes = effects.var_names
    p = np.where(np.arange(len(genes)) % 3 == 0, 1e-8, 0.5)
    tests = pd.DataFrame(
        {
            "cells": 20,
            "p": p,
            "adjusted": p,
            "control": np.linspace(0, 8, len(genes)),
        },
        index=genes,
    )
    return response.with_tests(response.response_table(effects, name), tests)


def all_figures(effects: anndata.AnnData, metrics: pd.DataFrame, name: str) -> list[go.Figure]:
    table = with_p_values(effects, name)
    observed, predicted = (effects.to_df(keys.fold(layer)) for layer in (keys.OBSERVED_TEST, keys.PREDICTED))
    genes = tuple(table["gene"].head(3))
    return [
        response.response_scatter(table, name, selected=genes[1]),
        response.ranked_bars(table, name, selected=genes[1]),
        response.volcano(table, name, selected=genes[1]),
        response.ma_plot(table, name, selected=genes[1]),
        response.path_bars(table, name, genes, selected=genes[1]),
        response.gene_distributions(
            {"Measured, control": np.arange(5.0), f"Model, {name}": np.arange(500.0)}, name
        ),
        response.effect_heatmap(observed, predicted),
        training.loss_curves(metrics, 3),
        training.penalty_curves(metrics),
        training.spread_curves(metrics),
        training.latent_curve(metrics, 100),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_figure_has_a_title_axis_titles_and_no_markup(
    effects: anndata.AnnData, metrics: pd.DataFrame, name: str
) -> None:
    for figure in all_figures(effects, metrics, name):
        assert figure.layout.title.text
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
        assert not any("<" in text for text in strings(figure))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_figure_in_words_is_its_title_and_axes_as_text(
    effects: anndata.AnnData, metrics: pd.DataFrame, name: str
) -> None:
    for figure in all_figures(effects, metrics, name):
        words = theme.described(figure)
        for axis, way in ((figure.layout.xaxis, "Across"), (figure.layout.yaxis, "Up")):
            assert f"{way}: {html.unescape(axis.title.text)}" in words
        assert "&lt;" not in words
    figure = theme.style(
        go.Figure([go.Scatter(name=f"s{i}") for i in range(8)]), f"Of {name}", "a (x)", "b < c"
    )
    assert theme.described(figure).startswith(theme.shorten(f"Of {name}", 70).rstrip("."))
    assert theme.described(figure).endswith(
        "Across: a (x). Up: b < c. Drawn: s0, s1, s2, s3, s4, s5 and 2 more."
    )
    assert theme.described(theme.empty("Effects", "No epoch yet")) == "Effects. No epoch yet."


def test_empty_input_gives_a_figure_that_says_why() -> None:
    nothing = pd.DataFrame({"epoch": pd.Series(dtype=int)})
    for figure in (
        training.loss_curves(nothing),
        training.penalty_curves(nothing),
        training.spread_curves(nothing),
        training.latent_curve(nothing),
    ):
        assert "No epoch" in figure.layout.annotations[0].text


def test_the_table_is_by_name_and_strongest_first(effects: anndata.AnnData) -> None:
    name = effects.obs_names[2]
    table = response.response_table(effects, name, "all")
    assert table["observed"].abs().is_monotonic_decreasing
    observed = pd.Series(np.asarray(effects[name].layers[keys.OBSERVED_ALL]).ravel(), index=effects.var_names)
    np.testing.assert_allclose(table.set_index("gene")["observed"], observed.loc[table["gene"]])
    assert list(table.loc[table["target"], "gene"]) == [name]


def test_reference_chooses_the_observed_layer(effects: anndata.AnnData) -> None:
    name = effects.obs_names[0]
    held_out = response.response_table(effects, name, "test").set_index("gene")["observed"]
    assert not np.allclose(
        held_out,
        response.response_table(effects, name, "all").set_index("gene")["observed"].loc[held_out.index],
    )


def test_an_unknown_perturbation_is_refused(effects: anndata.AnnData) -> None:
    with pytest.raises(QueryError, match="no effect of 'NOPE'"):
        response.response_table(effects, "NOPE")


def test_agreement_equals_scipy(effects: anndata.AnnData) -> None:
    table = response.response_table(effects, effects.obs_names[1])
    table.loc[3, "log_observed"] = np.nan
    found, kept = response.agreement(table), table.dropna(subset=["log_observed"])
    fit = kept["log_observed"] - kept["log_predicted"]
    assert found.rho == pytest.approx(stats.pearsonr(kept["log_predicted"], kept["log_observed"]).statistic)
    assert found.r2 == pytest.approx(
        1 - (fit**2).sum() / ((kept["log_observed"] - kept["log_observed"].mean()) ** 2).sum()
    )
    assert found.genes == len(table) - 1


def test_the_clearest_perturbations_come_first(effects: anndata.AnnData) -> None:
    error = keys.standard_error(keys.OBSERVED_TEST)
    clear = effects.copy()
    clear.layers[error] = np.full(effects.shape, 1.0)
    clear.layers[error][2] = 0.01  # the same effects, measured more exactly
    assert response.clearest(clear)[0] == effects.obs_names[2]
    clear.layers[keys.OBSERVED_TEST][2] = np.nan
    assert set(response.clearest(clear)) == set(effects.obs_names) - {effects.obs_names[2]}


def test_a_gene_that_few_cells_show_makes_no_perturbation_clear(effects: anndata.AnnData) -> None:
    error = keys.standard_error(keys.OBSERVED_TEST)
    clear = effects.copy()
    clear.layers[keys.OBSERVED_TEST] = np.zeros(effects.shape)
    clear.layers[error] = np.full(effects.shape, 0.3)
    clear.layers[keys.OBSERVED_TEST][1, :5] = 2.0  # a response
    clear.layers[keys.OBSERVED_TEST][3, 0], clear.layers[error][3, 0] = 0.1, 1e-6  # one cell, by chance
    assert response.clearest(clear)[0] == effects.obs_names[1]


def test_scatter_draws_every_gene_and_the_target_apart(effects: anndata.AnnData) -> None:
    name = effects.obs_names[0]
    figure = response.response_scatter(response.response_table(effects, name), name)
    drawn = {trace.name: len(trace.x) for trace in figure.data}
    assert drawn == {"Equal": 2, "Gene": effects.n_vars - 1, "Perturbed gene": 1}
    line = next(trace for trace in figure.data if trace.name == "Equal")
    assert list(line.x) == list(line.y)


def test_bars_carry_their_intervals(effects: anndata.AnnData) -> None:
    table = response.with_tests(response.response_table(effects, effects.obs_names[0]), None)
    observed, predicted = response.ranked_bars(table, "p", count=5).data
    shown = table.head(5).iloc[::-1]
    np.testing.assert_allclose(observed.x, shown["observed"])
    np.testing.assert_allclose(observed.error_x.array, 1.96 * shown["observed_se"])  # without tests: normal
    np.testing.assert_allclose(predicted.error_x.array, 1.96 * shown["predicted_sd"])
    table["low"], table["high"] = table["observed"] - 1, table["observed"] + 2
    observed = response.ranked_bars(table, "p", count=5).data[0]
    assert set(np.round(observed.error_x.array, 9)) == {2}
    assert set(np.round(observed.error_x.arrayminus, 9)) == {1}


def test_tests_are_joined_by_gene(effects: anndata.AnnData) -> None:
    table = with_p_values(effects, effects.obs_names[0])
    expected = pd.Series(np.linspace(0, 8, effects.n_vars), index=effects.var_names)
    np.testing.assert_allclose(table["control"], expected.loc[table["gene"]])


def test_the_direction_of_changed_genes() -> None:
    table = pd.DataFrame(
        {
            "observed": [1.0, -1.0, 2.0, -0.1, np.nan],
            "predicted": [0.1, -3.0, -0.2, 0.1, 1.0],
            "adjusted": [0.01, 0.01, 0.04, 0.2, 0.01],
        }
    )
    found = response.same_direction(response.changed(table, 0.05))
    assert (found.genes, found.share) == (3, pytest.approx(2 / 3))
    assert np.isnan(response.same_direction(table.head(0)).share)


def test_volcano_and_ma_group_the_genes(effects: anndata.AnnData) -> None:
    name = effects.obs_names[0]
    table = with_p_values(effects, name)
    sure = response.changed(table, 0.05)
    other = sure[~sure["target"]]
    for figure in (response.volcano(table, name), response.ma_plot(table, name)):
        drawn = {trace.name: len(trace.x) for trace in figure.data}
        assert (drawn["Up"], drawn["Down"]) == ((other["observed"] > 0).sum(), (other["observed"] <= 0).sum())
        assert drawn["Perturbed gene"] == 1
        assert (
            sum(drawn.get(group, 0) for group in ("Not significant", "Up", "Down", "Perturbed gene"))
            == effects.n_vars
        )
    line = next(trace for trace in response.volcano(table, name).data if trace.name.startswith("Adjusted"))
    assert set(line.y) == {8.0}  # the largest p that is still significant is 1e-8


def test_every_point_carries_its_gene_and_the_chosen_one_is_ringed(effects: anndata.AnnData) -> None:
    name = effects.obs_names[0]
    table = with_p_values(effects, name)
    gene = table["gene"].iloc[7]
    for draw in (response.response_scatter, response.volcano, response.ma_plot):
        figure = draw(table, name, selected=gene)
        carried = [g for trace in figure.data if trace.customdata is not None for g in trace.customdata]
        assert set(carried) == set(effects.var_names)
        ring = next(trace for trace in figure.data if trace.name == "Chosen gene")
        assert list(ring.customdata) == [gene]
        assert theme.text(gene, 16) in [note.text for note in figure.layout.annotations]


def test_thousands_of_genes_are_drawn_by_webgl_with_few_names() -> None:
    rng = np.random.default_rng(0)
    count = 8000
    table = pd.DataFrame(
        {
            "gene": [f"G{i}" for i in range(count)],
            "observed": rng.normal(size=count),
            "predicted": rng.normal(size=count),
            "target": False,
        }
    )
    figure = response.response_scatter(table.sort_values("observed", key=lambda x: -x.abs()), "P")
    assert next(trace for trace in figure.data if trace.name == "Gene").type == "scattergl"
    assert 10 <= len(figure.layout.annotations) <= 20


def test_effect_size_is_that_of_what_is_to_be_believed(effects: anndata.AnnData) -> None:
    quiet = effects.copy()
    believed = keys.shrunk(keys.fold(keys.OBSERVED_TEST))
    quiet.layers[believed] = np.zeros(effects.shape)
    quiet.layers[believed][0] = 2.0
    sizes = response.effect_sizes(quiet)
    assert sizes.iloc[0] == pytest.approx(2.0)
    assert sizes.iloc[1:].max() == 0.0
    del quiet.layers[believed]
    assert response.effect_sizes(quiet).isna().all()


def test_the_heat_map_holds_both_sides_in_one_order(effects: anndata.AnnData) -> None:
    observed, predicted = (effects.to_df(keys.fold(layer)) for layer in (keys.OBSERVED_TEST, keys.PREDICTED))
    figure = response.effect_heatmap(observed, predicted, perturbations=5, genes=7)
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    points = [trace for trace in figure.data if trace.type == "scattergl"]
    genes = list(points[0].customdata[:7])
    assert set(genes) <= set(effects.var_names)
    strongest = (observed**2).mean(axis=1).nlargest(5).index
    rows = [next(i for i in strongest if np.allclose(observed.loc[i, genes], z)) for z in maps[0].z]
    assert set(rows) == set(strongest)
    np.testing.assert_allclose(maps[1].z, predicted.loc[rows, genes])
    assert list(points[1].customdata) == genes * 5


def test_similar_rows_stand_together() -> None:
    kind = np.array([0, 1, 0, 1, 0, 1])
    order = response._clustered(
        np.where(kind[:, None] == 0, 1.0, -1.0) + np.random.default_rng(0).normal(0, 0.01, (6, 4))
    )
    assert len(set(kind[order][:3])) == 1


def test_nothing_to_show_is_said() -> None:
    table = pd.DataFrame(
        {
            "gene": ["A"],
            "observed": [np.nan],
            "observed_se": [np.nan],
            "predicted": [np.nan],
            "predicted_sd": [0.1],
            "log_observed": [np.nan],
            "target": [False],
        }
    )
    table = response.with_tests(table, None)
    assert "No effect was observed" in response.ranked_bars(table, "A").layout.annotations[0].text
    assert "Nothing to compare" in response.response_scatter(table, "A").layout.annotations[0].text
    assert "No gene can be tested" in response.volcano(table, "A").layout.annotations[0].text
    assert "Nothing to draw" in response.ma_plot(table, "A").layout.annotations[0].text
    assert "None of these genes" in response.path_bars(table, "A", ("A", "B")).layout.annotations[0].text
    assert (
        "no cells"
        in response.gene_distributions({"Measured, control": np.zeros(0)}, "A").layout.annotations[0].text
    )
    nothing = pd.DataFrame([[np.nan]], ["A"], ["G"])
    assert "No perturbation has cells" in response.effect_heatmap(nothing, nothing).layout.annotations[0].text


def test_points_of_cells_are_drawn_in_full() -> None:
    """Half transparent, grey has too little contrast on either ground."""
    figure = response.gene_distributions({"Measured, control": np.arange(5.0)}, "A")
    assert figure.data[0].marker.opacity == 1.0


def test_long_names_are_cut() -> None:
    assert theme.text("x" * 100, 10) == "x" * 9 + "…"
