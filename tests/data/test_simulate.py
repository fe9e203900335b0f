"""The simulator: the same seed gives the same data, the stated truth is in the counts, impossible wishes are
refused.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import anndata
import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.simulate import (
    CONTROL_LABEL,
    DOUBLET,
    DOUBLET_WITH,
    ESCAPED,
    LOW_QUALITY,
    Simulation,
    SimulationSettings,
    downstream,
    simulate,
)
from gpovae_core.data.simulate import counts as counts_module
from gpovae_core.data.simulate.genes import Draws, draw_genes
from gpovae_core.data.simulate.network import draw_network, propagate
from gpovae_core.errors import QueryError, SettingsError

KINDS = ["mixed", "hubs", "chains", "random", "forks", "feedforward"]
SMALL: dict[str, Any] = {"genes": 40, "perturbations": 12, "cells": 600}


@pytest.fixture(scope="module")
def default() -> Simulation:
    return simulate(SimulationSettings(seed=3))


def differences(simulation: Simulation) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean difference to control of log expression, and its z score (Welch): perturbations x genes."""
    cells = simulation.adata
    expression = log_expression(cells.X).toarray()
    labels = np.asarray(cells.obs[keys.PERTURBATION].astype(str))
    base = expression[labels == CONTROL_LABEL]
    names = sorted(set(labels) - {CONTROL_LABEL})
    mean, z = [], []
    for name in names:
        own = expression[labels == name]
        mean.append(own.mean(axis=0) - base.mean(axis=0))
        z.append(mean[-1] / np.sqrt(own.var(axis=0) / len(own) + base.var(axis=0) / len(base)))
    return pd.DataFrame(mean, names, cells.var_names), pd.DataFrame(z, names, cells.var_names)


def test_same_seed_same_data_other_seed_other_data() -> None:
    first, again, other = (simulate(SimulationSettings(**SMALL, seed=seed)) for seed in (5, 5, 6))
    assert (first.adata.X != again.adata.X).nnz == 0
    pd.testing.assert_frame_equal(first.adata.obs, again.adata.obs)
    pd.testing.assert_frame_equal(first.edges, again.edges)
    assert (first.adata.X != other.adata.X).nnz > 0
    assert not first.edges.equals(other.edges)


def test_the_network_does_not_depend_on_the_number_of_cells() -> None:
    few, many = (simulate(SimulationSettings(**{**SMALL, "cells": cells})) for cells in (100, 900))
    pd.testing.assert_frame_equal(few.edges, many.edges)


def test_chunks_cover_every_cell_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts_module, "_CHUNK_VALUES", 45 * 64)
    chunked = simulate(SimulationSettings(**SMALL)).adata
    assert chunked.shape == (600, 45)
    assert np.asarray(chunked.X.sum(axis=1)).min() > 0


def test_what_the_file_holds(default: Simulation) -> None:
    cells = default.adata
    assert sparse.isspmatrix_csr(cells.X)
    assert cells.X.dtype == np.float32
    assert (cells.X.data >= 0).all()
    assert (cells.X.data == np.round(cells.X.data)).all()
    assert cells.shape == (5000, 105)
    assert cells.obs_names.is_unique
    assert cells.var_names[:2].tolist() == ["SIM001", "SIM002"]
    assert cells.var_names[-1] == "MT-SIM5"
    counts = cells.obs[keys.PERTURBATION].value_counts()
    assert counts[CONTROL_LABEL] == 1000
    assert set(counts.drop(CONTROL_LABEL)) <= {133, 134}
    assert cells.obs["batch"].nunique() == 2
    assert cells.obs[LOW_QUALITY].sum() == 250
    assert cells.obs[DOUBLET].sum() == 150
    assert (cells.obs[DOUBLET] == (cells.obs[DOUBLET_WITH] != "")).all()
    assert not cells.obs[ESCAPED][cells.obs[keys.PERTURBATION] == CONTROL_LABEL].any()
    assert cells.uns["simulated"] is True
    assert SimulationSettings(**json.loads(cells.uns["settings"])) == SimulationSettings(seed=3)
    assert cells.uns["seed"] == 3


def test_library_size_and_mitochondrial_share_are_those_asked_for(default: Simulation) -> None:
    cells = default.adata
    total = np.asarray(cells.X.sum(axis=1)).ravel()
    mito = np.asarray(cells[:, cells.var["mitochondrial"]].X.sum(axis=1)).ravel() / total
    good = ~(cells.obs[LOW_QUALITY] | cells.obs[DOUBLET]).to_numpy()
    low = (cells.obs[LOW_QUALITY] & ~cells.obs[DOUBLET]).to_numpy()
    double = (cells.obs[DOUBLET] & ~cells.obs[LOW_QUALITY]).to_numpy()
    assert np.median(total[good]) == pytest.approx(8000, rel=0.05)
    assert np.std(np.log(total[good])) == pytest.approx(0.35, rel=0.1)
    assert np.median(total[low]) == pytest.approx(2000, rel=0.1)
    assert np.median(total[double]) == pytest.approx(2 * 8000 * np.exp(0.35**2 / 2), rel=0.15)
    assert np.median(mito[good]) == pytest.approx(0.05, rel=0.1)
    assert np.median(mito[low]) > 3 * np.median(mito[good])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_kind_of_network_is_directed_acyclic_and_signed(kind: Any, seed: int) -> None:
    edges = simulate(SimulationSettings(**SMALL, network=kind, seed=seed)).edges
    graph = nx.from_pandas_edgelist(edges, keys.SOURCE, keys.TARGET, create_using=nx.DiGraph)
    assert len(edges) == graph.number_of_edges() > 5
    assert nx.is_directed_acyclic_graph(graph)
    assert (np.sign(edges[keys.WEIGHT]) == edges[keys.SIGN]).all()
    assert edges[keys.WEIGHT].abs().between(0.4, 1.0).all()
    longest = nx.dag_longest_path_length(graph)
    allowed = {
        "mixed": range(2, 40),
        "hubs": range(1, 9),
        "chains": range(2, 6),
        "random": range(2, 40),
        "forks": [1],
        "feedforward": [2],
    }
    assert longest in allowed[kind]


def test_chains_are_disjoint_and_feedforward_loops_close() -> None:
    chains = simulate(SimulationSettings(**SMALL, network="chains")).edges
    assert chains[keys.SOURCE].is_unique
    assert chains[keys.TARGET].is_unique
    loops = simulate(SimulationSettings(**SMALL, network="feedforward")).edges
    pairs = set(zip(loops[keys.SOURCE], loops[keys.TARGET], strict=True))
    assert all((a, d) in pairs for (a, b), (c, d) in itertools.product(pairs, pairs) if b == c)


def test_direct_edges_show_and_indirect_effects_confuse(default: Simulation) -> None:
    mean, z = differences(default)
    edges = {
        (s, t): sign
        for s, t, sign in default.edges[[keys.SOURCE, keys.TARGET, keys.SIGN]].itertuples(index=False)
    }
    reach = downstream(default.edges, 6)
    further = set(
        reach.loc[reach["hops"] > 1, [keys.SOURCE, keys.TARGET]].itertuples(index=False, name=None)
    ) - set(edges)
    pairs = [(p, g) for p in mean.index for g in mean.columns if p != g]
    is_edge = np.array([pair in edges for pair in pairs])
    size = np.array([abs(mean.loc[pair]) for pair in pairs])
    score = np.array([abs(z.loc[pair]) for pair in pairs])
    indirect = np.array([pair in further for pair in pairs])
    unrelated = ~is_edge & ~indirect

    assert np.median(score[is_edge]) > 8
    assert np.median(score[indirect]) > 3
    assert np.median(score[unrelated]) < 1.2
    precision = average_precision_score(is_edge, size)
    assert 10 * is_edge.mean() < precision < 0.99
    # Without the indirect pairs the same ranking is better: they are what confuses it.
    assert average_precision_score(is_edge[~indirect], size[~indirect]) > precision
    # A knock-down lowers what the gene activates and raises what it represses.
    agree = [np.sign(-mean.loc[pair]) == edges[pair] for pair in pairs if pair in edges]
    assert np.mean(agree) > 0.95


def test_knock_down_removes_the_stated_share() -> None:
    settings = SimulationSettings(
        **SMALL,
        escape_share=0,
        doublet_share=0,
        low_quality_share=0,
        batches=1,
        network="forks",
        edges_per_gene=0.05,
        over_dispersion=0,
    )
    cells = simulate(settings).adata
    share = sparse.diags(1 / np.asarray(cells.X.sum(axis=1)).ravel()) @ cells.X
    labels = cells.obs[keys.PERTURBATION].astype(str).to_numpy()
    for gene in sorted(set(labels) - {CONTROL_LABEL}):
        column = np.asarray(share[:, cells.var_names.get_loc(gene)].todense()).ravel()
        left = column[labels == gene].mean() / column[labels == CONTROL_LABEL].mean()
        assert left == pytest.approx(1 - cells.var.loc[gene, "knockdown"], abs=0.08)


def test_silent_genes_keep_their_own_share_and_their_targets_feel_the_loss() -> None:
    """The same knock-downs seen and silent: targets respond alike, the genes themselves do not fall."""
    values = {
        **SMALL,
        "cells": 4000,
        "escape_share": 0,
        "doublet_share": 0,
        "low_quality_share": 0,
        "batches": 1,
        "network": "forks",
    }
    seen, silent = (simulate(SimulationSettings(**values, silent_share=share)) for share in (0.0, 1.0))
    pd.testing.assert_frame_equal(seen.edges, silent.edges)
    assert silent.adata.var["silent"].sum() == 12
    assert silent.adata.var["knockdown"].equals(seen.adata.var["knockdown"])
    (falls, _), (stays, _) = differences(seen), differences(silent)
    own_falls, own_stays = (
        np.array([table.loc[gene, gene] for gene in table.index]) for table in (falls, stays)
    )
    assert (own_falls < -0.5).all()
    assert np.abs(own_stays).max() < 0.3
    edges = [
        (s, t)
        for s, t in zip(seen.edges[keys.SOURCE], seen.edges[keys.TARGET], strict=True)
        if s in falls.index
    ]
    first, second = (np.array([table.loc[edge] for edge in edges]) for table in (falls, stays))
    assert len(edges) > 10
    assert (np.sign(first) == np.sign(second)).all()
    assert np.median(second / first) == pytest.approx(1.0, abs=0.15)


def test_only_the_asked_share_is_silent() -> None:
    cells = simulate(SimulationSettings(**SMALL, silent_share=0.5)).adata
    assert cells.var["silent"].sum() == 6
    assert cells.var["perturbed"][cells.var["silent"]].all()


def test_silence_is_drawn_last_so_that_the_default_gives_the_data_it_always_gave() -> None:
    settings = SimulationSettings(**SMALL, seed=5)
    drawn = [
        draw_genes(
            SimulationSettings(**SMALL, seed=5, silent_share=share),
            np.arange(12),
            Draws(*(np.random.default_rng(seed) for seed in range(1, 6))),
        )
        for share in (0.0, 0.5)
    ]
    for name in ("log_base", "loadings", "batch_effects", "knockdown", "measured", "mito_base"):
        np.testing.assert_array_equal(getattr(drawn[0], name), getattr(drawn[1], name))
    assert not drawn[0].silent.any()
    counts = simulate(settings).adata.X
    # As drawn before there were silent genes; a hair of room for another machine's exponentials.
    assert counts.sum() == pytest.approx(5_118_039, rel=1e-4)
    assert counts.nnz == pytest.approx(26_990, rel=1e-3)


def test_propagation_solves_the_stated_equation() -> None:
    settings = SimulationSettings(genes=30, perturbations=10, network="random", edges_per_gene=2.0)
    network = draw_network(settings, np.random.default_rng(0))
    drive = np.random.default_rng(1).normal(size=(7, 30))
    activity = propagate(network, drive.copy(), 1.5)
    np.testing.assert_allclose(
        activity, drive + 1.5 * np.tanh(activity / 1.5) @ network.strength.toarray(), atol=1e-12
    )


def test_pairs_and_unmeasured_genes() -> None:
    simulation = simulate(SimulationSettings(**SMALL, pair_share=0.5, unmeasured_share=0.25))
    cells = simulation.adata
    labels = set(cells.obs[keys.PERTURBATION]) - {CONTROL_LABEL}
    pairs = sorted(label for label in labels if keys.PAIR_SEPARATOR in label)
    singles = labels - set(pairs)
    assert len(singles) == 12
    assert len(pairs) == 6
    for pair in pairs:
        parts = pair.split(keys.PAIR_SEPARATOR)
        assert parts == sorted(parts)
        assert set(parts) <= singles
    assert len(singles - set(cells.var_names)) == 3
    assert cells.n_vars == 40 - 3 + 5
    assert (singles - set(cells.var_names)) & set(simulation.edges[keys.SOURCE])


def test_a_pair_lowers_both_genes() -> None:
    settings = SimulationSettings(**{**SMALL, "cells": 2000}, pair_share=0.5, doublet_share=0)
    simulation = simulate(settings)
    mean, _ = differences(simulation)
    for pair in [name for name in mean.index if keys.PAIR_SEPARATOR in name]:
        for gene in pair.split(keys.PAIR_SEPARATOR):
            assert mean.loc[pair, gene] < -0.4


def test_downstream_agrees_with_enumerated_paths() -> None:
    edges = simulate(
        SimulationSettings(genes=25, perturbations=10, cells=50, network="random", edges_per_gene=2.0)
    ).edges
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(edges[[keys.SOURCE, keys.TARGET, keys.WEIGHT]].itertuples(index=False))
    expected = {}
    for source, target in itertools.permutations(graph, 2):
        paths = list(nx.all_simple_paths(graph, source, target, cutoff=3))
        if paths:
            products = [
                np.prod([graph[a][b]["weight"] for a, b in itertools.pairwise(path)]) for path in paths
            ]
            expected[source, target] = (min(map(len, paths)) - 1, sum(products))
    table = downstream(edges, 3)
    found = {(s, t): (hops, weight) for s, t, hops, weight, _ in table.itertuples(index=False)}
    assert found.keys() == expected.keys()
    for pair, (hops, weight) in expected.items():
        assert found[pair][0] == hops
        assert found[pair][1] == pytest.approx(weight)
    assert table.equals(table.sort_values([keys.SOURCE, keys.TARGET], ignore_index=True))


def test_downstream_of_one_hop_is_the_edges_themselves(default: Simulation) -> None:
    table = downstream(default.edges, 1).drop(columns="hops")
    pd.testing.assert_frame_equal(table, default.edges)


def test_downstream_refuses_no_hops(default: Simulation) -> None:
    with pytest.raises(QueryError, match="1 or more"):
        downstream(default.edges, 0)


def test_written_files_read_back(tmp_path: Any) -> None:
    simulation = simulate(SimulationSettings(**SMALL))
    edges = simulation.write(tmp_path / "new" / "toy.h5ad")
    assert edges == tmp_path / "new" / "toy.edges.csv"
    again = anndata.read_h5ad(tmp_path / "new" / "toy.h5ad")
    assert (again.X != simulation.adata.X).nnz == 0
    pd.testing.assert_frame_equal(again.obs, simulation.adata.obs, check_dtype=False)
    assert bool(again.uns["simulated"])
    pd.testing.assert_frame_equal(pd.read_csv(edges), simulation.edges, check_dtype=False)


def test_write_wants_an_h5ad_name(tmp_path: Any) -> None:
    with pytest.raises(SettingsError, match=r"cells\.h5ad"):
        simulate(SimulationSettings(**SMALL)).write(tmp_path / "toy.csv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"genes": 10, "perturbations": 11}, "11 genes cannot be perturbed when there are 10"),
        ({"genes": 10, "perturbations": 2, "pair_share": 1.0}, "2 combinations cannot be made of 2 genes"),
        ({"cells": 30, "perturbations": 30}, "raise cells"),
        ({"strength_min": 2.0}, "above strength_max"),
        ({"genes": 3, "perturbations": 3, "unmeasured_share": 1.0}, "fewer than 2 remain"),
        ({"knockdown_mean": 0.95, "knockdown_spread": 0.4}, "knockdown_spread"),
        ({"silent_share": 1.5}, "silent_share"),
        ({"network": "ring"}, "network"),
        ({"genes": "many"}, "genes"),
        ({"colour": "blue"}, "colour"),
        ({"cells": -4, "seed": -1}, "(?s)cells.*seed"),
    ],
)
def test_impossible_settings_are_refused_with_a_reason(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SimulationSettings(**values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("genes", [2, 3, 7])
def test_the_smallest_settings_work(kind: Any, genes: int) -> None:
    settings = SimulationSettings(
        genes=genes,
        perturbations=1,
        cells=4,
        control_share=0.5,
        network=kind,
        mitochondrial_genes=0,
        batches=1,
        edges_per_gene=5.0,
    )
    simulation = simulate(settings)
    assert simulation.adata.shape == (4, genes)
    assert len(simulation.edges) >= (kind != "hubs")
    assert np.isfinite(simulation.adata.X.data).all()


def test_interactions_are_in_the_cells_of_their_pair_alone() -> None:
    """The stated genes of a pair move by the stated amount beyond what its genes do alone; nothing else is
    drawn differently.
    """
    settings = {
        "genes": 60,
        "perturbations": 6,
        "pair_share": 0.5,
        "cells": 4000,
        "escape_share": 0.0,
        "doublet_share": 0.0,
    }
    plain = simulate(SimulationSettings(**settings))
    made = simulate(
        SimulationSettings(**settings, interacting_share=0.34, interaction_genes=5, interaction_strength=1.0)
    )
    assert plain.interactions.empty
    pd.testing.assert_frame_equal(plain.edges, made.edges)
    pd.testing.assert_frame_equal(plain.adata.obs, made.adata.obs)
    assert made.interactions[keys.PERTURBATION].nunique() == 1
    assert len(made.interactions) == 5
    assert (made.interactions[keys.WEIGHT].abs() == 1.0).all()
    pair = made.interactions[keys.PERTURBATION].iloc[0]
    labels = np.asarray(made.adata.obs[keys.PERTURBATION].astype(str))
    stated = made.interactions.set_index(keys.TARGET)[keys.WEIGHT]
    touched = {*stated.index, *downstream(made.edges, 10).query("source in @stated.index")["target"]}

    def mean_share(simulation: Simulation) -> pd.Series:
        rows = simulation.adata.X[np.flatnonzero(labels == pair)].toarray()
        return pd.Series((rows / rows.sum(axis=1, keepdims=True)).mean(axis=0), simulation.adata.var_names)

    change = np.log(mean_share(made) / mean_share(plain))
    first = [
        gene for gene in stated.index if not (made.edges[keys.TARGET] == gene).any()
    ]  # nothing else leads there
    untouched = change.drop([*touched]).median()
    np.testing.assert_allclose(change[first] - untouched, stated[first], atol=0.2)
    others = np.flatnonzero(labels != pair)
    before, after = (np.asarray(s.adata.X[others].sum(axis=0)).ravel() for s in (plain, made))
    np.testing.assert_allclose(after / before, 1.0, atol=0.25)


def test_interactions_that_cannot_be_drawn_are_refused_and_all_are_written(tmp_path: Any) -> None:
    with pytest.raises(SettingsError, match="interaction_genes"):
        SimulationSettings(
            genes=12, perturbations=8, pair_share=0.5, interacting_share=1.0, interaction_genes=5
        )
    made = simulate(SimulationSettings(**SMALL, pair_share=0.5, interacting_share=0.5, interaction_genes=3))
    made.write(tmp_path / "x.h5ad")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "x.interactions.csv"), made.interactions, check_dtype=False
    )
