"""Figures: the numbers drawn are the numbers given, axes have units, names are text."""

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
    return make_fake_run(tmp_path_factory.mktemp("run") / "r", names=HOSTILE, n_perturbed=8, n_extended=6, n_measured=40).effects()


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return make_fake_run(tmp_path_factory.mktemp("run") / "m", n_perturbed=2, n_extended=1, n_measured=4).metrics()


def strings(figure: go.Figure) -> list[str]:
    """Everything plotly would read as text with tags: labels, annotations, ticks, titles."""
    found = [note.text for note in figure.layout.annotations]
    found += [text for trace in figure.data for text in (trace.text if trace.text is not None else [])]
    found += [text for axis in (figure.layout.xaxis, figure.layout.yaxis) for text in (axis.ticktext or [])]
    return [str(text) for text in [*found, figure.layout.title.text]]


def all_figures(effects: anndata.AnnData, metrics: pd.DataFrame, name: str) -> list[go.Figure]:
    table = response.response_table(effects, name)
    return [
        response.response_scatter(table, name),
        response.ranked_bars(table, name),
        training.loss_curves(metrics, 3),
        training.penalty_curves(metrics),
        training.spread_curves(metrics),
        training.latent_curve(metrics, 100),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_figure_has_a_title_axis_titles_and_no_markup(effects: anndata.AnnData, metrics: pd.DataFrame, name: str) -> None:
    for figure in all_figures(effects, metrics, name):
        assert figure.layout.title.text
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
        assert not any("<" in text for text in strings(figure))


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
    assert not np.allclose(held_out, response.response_table(effects, name, "all").set_index("gene")["observed"].loc[held_out.index])


def test_an_unknown_perturbation_is_refused(effects: anndata.AnnData) -> None:
    with pytest.raises(QueryError, match="no effect of 'NOPE'"):
        response.response_table(effects, "NOPE")


def test_agreement_equals_scipy(effects: anndata.AnnData) -> None:
    table = response.response_table(effects, effects.obs_names[1])
    table.loc[3, "observed"] = np.nan
    found, kept = response.agreement(table), table.dropna(subset=["observed"])
    fit = kept["observed"] - kept["predicted"]
    assert found.rho == pytest.approx(stats.pearsonr(kept["predicted"], kept["observed"]).statistic)
    assert found.r2 == pytest.approx(1 - (fit**2).sum() / ((kept["observed"] - kept["observed"].mean()) ** 2).sum())
    assert found.genes == len(table) - 1


def test_the_strongest_perturbation(effects: anndata.AnnData) -> None:
    error = keys.standard_error(keys.OBSERVED_TEST)
    clear = effects.copy()
    clear.layers[error] = np.full(effects.shape, 1.0)
    clear.layers[error][2] = 0.01  # the same effects, measured more exactly
    assert response.strongest_perturbation(clear) == effects.obs_names[2]
    without = effects.copy()
    without.layers[keys.OBSERVED_TEST] = np.full(effects.shape, np.nan)
    assert response.strongest_perturbation(without) is None


def test_scatter_draws_every_gene_and_the_target_apart(effects: anndata.AnnData) -> None:
    name = effects.obs_names[0]
    figure = response.response_scatter(response.response_table(effects, name), name)
    drawn = {trace.name: len(trace.x) for trace in figure.data}
    assert drawn == {"Equal": 2, "Gene": effects.n_vars - 1, "Perturbed gene": 1}
    line = next(trace for trace in figure.data if trace.name == "Equal")
    assert list(line.x) == list(line.y)


def test_bars_carry_95_percent_intervals(effects: anndata.AnnData) -> None:
    table = response.response_table(effects, effects.obs_names[0])
    observed = next(bar for bar in response.ranked_bars(table, "p", count=5).data if bar.name.startswith("Observed"))
    np.testing.assert_allclose(observed.x, table["observed"].head(5).iloc[::-1])
    np.testing.assert_allclose(observed.error_x.array, 1.96 * table["observed_se"].head(5).iloc[::-1])


def test_no_effect_observed_is_said() -> None:
    table = pd.DataFrame(
        {"gene": ["A"], "observed": [np.nan], "observed_se": [np.nan], "predicted": [0.1], "predicted_sd": [0.1], "target": [False]}
    )
    assert "No effect was observed" in response.ranked_bars(table, "A").layout.annotations[0].text
    assert "Nothing to compare" in response.response_scatter(table, "A").layout.annotations[0].text


def test_long_names_are_cut() -> None:
    assert theme.text("x" * 100, 10) == "x" * 9 + "…"
