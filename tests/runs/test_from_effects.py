"""A run made from a table of effects: the network, what it says of itself, and what needs cells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from gpovae_core.config import make_settings
from gpovae_core.data.effect_tables.read import read_effects
from gpovae_core.data.effect_tables.report import MeasuredEffects
from gpovae_core.errors import DataError, GpoVaeError, RunError, SettingsError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.reporting.document import write_report
from gpovae_core.runs.archive import export_run
from gpovae_core.runs.ensemble import EnsemblePlan, make_ensemble
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.from_effects import choose_panel, contrasts_of, network_from_effects
from gpovae_core.runs.importing import import_file
from gpovae_core.workflow import resume_run, score_run

PERTURBED = [f"P{i}" for i in range(8)]
OTHERS = [f"X{i:02d}" for i in range(60)]
GENES = [*PERTURBED, *OTHERS]
EDGES = {("P0", "P1"): 0.9, ("P1", "X00"): 0.8, ("P2", "X01"): -1.0, ("P3", "P4"): 0.7, ("P4", "X02"): 0.9}
SE = 0.05


def effects(seed: int = 0, controls: int = 0) -> pd.DataFrame:
    """log2 fold changes of knock-downs by three quarters in a linear network of EDGES, with their errors."""
    rng = np.random.default_rng(seed)
    n = len(GENES)
    b = np.zeros((n, n))
    for (source, target), strength in EDGES.items():
        b[GENES.index(source), GENES.index(target)] = strength
    own = -2.0
    change = np.linalg.inv(np.eye(n) - b)[: len(PERTURBED)] * own
    change = np.concatenate([change, np.zeros((controls, n))]) + SE * rng.standard_normal(
        (len(PERTURBED) + controls, n)
    )
    names = [*PERTURBED, *(f"non-targeting_{i}" for i in range(controls))]
    return pd.DataFrame(
        {
            "perturbation": np.repeat(names, n),
            "gene": np.tile(GENES, len(names)),
            "log2fc": change.ravel(),
            "se": SE,
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    effects().to_csv(tmp_path / "effects.csv", index=False)
    return tmp_path / "effects.csv"


@pytest.fixture
def run(table: Path, tmp_path: Path) -> RunFolder:
    return network_from_effects(table, tmp_path / "run", panel_extra=20).run


def test_how_far_the_work_is_is_said_all_along(table: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    network_from_effects(table, tmp_path / "run", progress=lambda stage, share: told.append((stage, share)))
    shares = np.array([share for _, share in told])
    assert (np.diff(shares) >= -1e-9).all()
    assert {"fitting the network: weighing the effects", "fitting the network: direct edges"} <= {
        stage for stage, _ in told
    }
    assert len(np.unique(shares.round(3))) > 12


def test_the_network_behind_the_effects_is_found(run: RunFolder) -> None:
    network = GeneNetwork.from_run(run)
    found = network.edges(0.5)
    assert {(a, b) for a, b in zip(found.source, found.target, strict=True)} == set(EDGES)
    for (source, target), strength in EDGES.items():
        i, j = network.panel.index[source], network.panel.index[target]
        assert network.signs[i, j] == np.sign(strength)
        assert network.strength is not None
        assert abs(network.strength[i, j]) == pytest.approx(abs(strength), rel=0.35)
    row = found[(found.source == "P1") & (found.target == "X00")].iloc[0]
    assert row["effect"] == pytest.approx(-1.6, abs=4 * SE)
    assert row["effect_se"] == pytest.approx(SE, rel=1e-5)
    assert row["cells"] is pd.NA


def test_the_panel_holds_what_clearly_changes_and_says_why(table: Path) -> None:
    panel = choose_panel(read_effects(table), 3).data
    assert panel.perturbed == tuple(PERTURBED)
    assert panel.extended == ("X00", "X01", "X02")
    assert panel.reasons["X01"].endswith("standard errors")
    assert "under P2" in panel.reasons["X01"]
    assert choose_panel(read_effects(table), 0).data.extended == ()
    assert len(choose_panel(read_effects(table), 10_000)) == len(GENES)


def test_names_and_numbers_keep_together_in_any_order(table: Path) -> None:
    found = read_effects(table)
    rows, columns = np.random.default_rng(1).permutation(8), np.random.default_rng(2).permutation(68)
    moved = MeasuredEffects(
        tuple(found.perturbations[i] for i in rows),
        tuple(found.genes[j] for j in columns),
        found.effect[rows][:, columns],
        found.error[rows][:, columns],
        found.null,
        found.report,
    )
    panel = choose_panel(found, 20)
    assert choose_panel(moved, 20) == panel
    one, other = contrasts_of(found, panel), contrasts_of(moved, panel)
    np.testing.assert_array_equal(one.effect, other.effect)
    np.testing.assert_array_equal(one.error, other.error)
    i, j = panel.index["P2"], panel.index["X01"]
    assert one.effect[i, j] == found.effect[found.perturbations.index("P2"), found.genes.index("X01")]


def test_genes_that_are_perturbed_and_not_measured(tmp_path: Path) -> None:
    table = effects()
    table[table.gene != "P3"].to_csv(tmp_path / "e.csv", index=False)
    made = network_from_effects(tmp_path / "e.csv", tmp_path / "run", 10)
    report = made.run.effects_report()
    assert report is not None
    assert report.unmeasured == ("P3",)
    panel = made.run.panel()
    assert not panel.is_measured[panel.index["P3"]]
    weights = made.run.edge_probabilities()
    assert weights[panel.index["P3"], panel.index["P4"]] > 0.5
    assert weights[:, panel.index["P3"]].max() < 0.01


def test_the_rate_of_false_edges_needs_a_null(run: RunFolder, tmp_path: Path) -> None:
    fit = NetworkFit.from_arrays(run.network_arrays())
    assert np.isnan(fit.null_share).all()
    assert run.null() == {}
    effects(controls=4).to_csv(tmp_path / "controls.csv", index=False)
    for name, null in (("controls.csv", "auto"), ("effects.csv", "normal")):
        made = network_from_effects(tmp_path / name, tmp_path / name[:-4], 20, null=null)
        assert made.null == ("controls" if null == "auto" else "normal")
        assert made.false_edge_rate is not None
        assert made.false_edge_rate < 0.2
        rows = made.run.null()["thresholds"]
        assert rows[0]["estimated_false_edge_rate"] > rows[50]["estimated_false_edge_rate"]
    with pytest.raises(DataError, match="no row that names a control"):
        network_from_effects(tmp_path / "effects.csv", tmp_path / "other", 20, null="controls")


def test_noise_gives_no_edges(tmp_path: Path) -> None:
    table = effects()
    rng = np.random.default_rng(5)
    own = table.perturbation == table.gene
    table.loc[~own, "log2fc"] = SE * rng.standard_normal((~own).sum())
    table.to_csv(tmp_path / "e.csv", index=False)
    assert network_from_effects(tmp_path / "e.csv", tmp_path / "run", 40, null="normal").edges == 0


def test_the_direction_can_be_told(table: Path, tmp_path: Path) -> None:
    settings = make_settings("evidence", {"network": {"perturbation": "knock-out"}})
    made = network_from_effects(table, tmp_path / "run", 20, settings=settings)
    assert NetworkFit.from_arrays(made.run.network_arrays()).knock_out[0] == 1


def test_what_needs_cells_says_so(run: RunFolder, tmp_path: Path) -> None:
    assert run.status().state == "imported"
    for ask in (
        run.cells,
        run.effects,
        lambda: score_run(run),
        lambda: resume_run(run.path),
        lambda: make_ensemble(run, EnsemblePlan()),
    ):
        with pytest.raises(GpoVaeError, match="no cells"):
            ask()
    with pytest.raises(RunError) as error:
        run.effects()
    assert "gpovae evaluate" not in str(error.value)


def test_reports_say_that_it_is_from_effects(run: RunFolder, tmp_path: Path) -> None:
    for ending in ("txt", "html", "json"):
        write_report([run], tmp_path / f"report.{ending}")
        text = (tmp_path / f"report.{ending}").read_text()
        assert "to a table of effects, without cells: effects.csv" in text
        assert "share of false edges is unknown" in text
    assert json.loads((tmp_path / "report.json").read_text())["effects"]["unit"] == "log2"


def test_it_can_be_exported_and_imported(run: RunFolder, tmp_path: Path) -> None:
    export_run(run, tmp_path / "run.zip")
    again = import_file(tmp_path / "run.zip", tmp_path / "again")
    assert again.effects_report() == run.effects_report()
    np.testing.assert_array_equal(again.edge_probabilities(), run.edge_probabilities())


def test_a_damaged_report_is_told(run: RunFolder) -> None:
    (run.path / "effects.json").write_text('{"unit": 3}')
    with pytest.raises(RunError, match=r"effects\.json is damaged"):
        run.effects_report()


def test_settings_that_cannot_be(table: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="trains W on cells"):
        network_from_effects(table, tmp_path / "run", settings=make_settings("paper"))
    with pytest.raises(SettingsError, match="0 or more"):
        network_from_effects(table, tmp_path / "run", panel_extra=-1)
    found = read_effects(table)
    many = replace(found, genes=tuple(f"G{i}" for i in range(9000)), effect=np.zeros((8, 9000)))
    with pytest.raises(DataError, match="at most 8,000"):
        choose_panel(replace(many, error=np.ones((8, 9000))), 9000)
    assert not (tmp_path / "run").exists()


def test_nothing_is_left_where_the_place_is_taken(table: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already exists"):
        network_from_effects(table, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_layers_of_an_anndata_give_the_same(table: Path, run: RunFolder, tmp_path: Path) -> None:
    long = effects()
    wide = {name: long.pivot(index="perturbation", columns="gene", values=name) for name in ("log2fc", "se")}
    names = wide["se"]
    layers = {name: frame.to_numpy() for name, frame in wide.items()}
    shape = np.zeros(names.shape)
    ad.AnnData(
        X=shape, obs=pd.DataFrame(index=names.index), var=pd.DataFrame(index=names.columns), layers=layers
    ).write_h5ad(tmp_path / "effects.h5ad")
    other = network_from_effects(tmp_path / "effects.h5ad", tmp_path / "other", 20).run
    assert other.panel() == run.panel()
    np.testing.assert_allclose(other.edge_probabilities(), run.edge_probabilities(), atol=1e-6)
