from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.pairs import pair_statistics
from gpovae_core.methods.correlation import gene_correlation
from gpovae_core.methods.inverse import direct_effects
from gpovae_core.methods.mann_whitney import mann_whitney_order
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.registry import rank
from tests.evaluation.conftest import EXTENDED, PERTURBED, UNMEASURED, build_screen


def linear_network(n: int = 8, seed: int = 0, cycles: bool = True) -> tuple[pd.DataFrame, np.ndarray]:
    """Total effects of a linear network with cycles, every perturbed gene held at its own change, and the
    direct effects behind them.
    """
    rng = np.random.default_rng(seed)
    inner = np.where(rng.random((n, n)) < 0.3, rng.normal(0, 0.5, size=(n, n)), 0.0)
    np.fill_diagonal(inner, 0.0)
    inner = inner if cycles else np.triu(inner)
    outer = np.where(rng.random((n, 4)) < 0.4, rng.normal(size=(n, 4)), 0.0)
    whole = np.linalg.inv(np.eye(n) - inner)
    own = -rng.uniform(0.5, 2.0, size=n)
    held = (own / np.diag(whole))[:, None] * whole
    names = [f"P{i}" for i in range(n)]
    table = pd.DataFrame(np.hstack([held, held @ outer]), index=names, columns=[*names, *"WXYZ"])
    return table, own[:, None] * np.hstack([inner, outer])


def test_the_closed_form_inverse_gives_the_direct_effects_back():
    total, direct = linear_network()
    got = direct_effects(total, list(total.index), list(total.columns), tolerance=1e-12)
    edge = ~np.eye(*got.shape, dtype=bool)
    np.testing.assert_allclose(got[edge], direct[edge], atol=1e-9)


def test_a_source_that_is_not_measured_keeps_what_the_others_do_not_explain():
    total, direct = linear_network(cycles=False)
    hidden = total.drop(columns="P0")  # regulated by nobody, so hiding its expression hides no detour
    got = direct_effects(hidden, ["P0"], list(hidden.columns), tolerance=1e-12)
    np.testing.assert_allclose(got[0], direct[0, 1:], atol=1e-9)
    assert np.isnan(direct_effects(total, ["UNSEEN"], ["P1"])).all()


def test_gene_correlation_is_that_of_numpy():
    rng = np.random.default_rng(1)
    cells = rng.poisson(1.5, size=(9000, 6)) + np.arange(9000)[:, None] % 3
    cells[:, 5] = 2
    got = gene_correlation(sparse.csr_matrix(cells.astype(float)), list("abcdef"), ["b", "none", "f"])
    np.testing.assert_allclose(got[0, :5], np.corrcoef(cells[:, :5].T)[1], atol=1e-10)
    assert np.isnan(got[1]).all()
    assert np.isnan(got[:, 5]).all()


def test_mann_whitney_order_goes_by_p():
    rng = np.random.default_rng(2)
    labels = np.repeat([keys.CONTROL, "A", "B"], [80, 40, 40]).astype(object)
    cells = sparse.csr_matrix(
        rng.poisson(2.0, size=(160, 15)) + (labels == "A")[:, None] * np.arange(15) * 0.3
    )
    pairs = pair_statistics(cells, labels, ["A", "B"], [f"g{i}" for i in range(15)])
    order = mann_whitney_order(pairs)
    assert stats.spearmanr(order.ravel(), pairs.p.ravel()).statistic == pytest.approx(-1.0, abs=1e-3)


def test_the_methods_see_training_cells_only():
    screen = build_screen()
    expression = log_expression(screen.counts, screen.library_size)
    training = average_effects(screen, (keys.TRAIN,)).mean
    targets = [gene for gene in (*EXTENDED, *PERTURBED) if gene != UNMEASURED]
    got = rank(Inputs(screen, PERTURBED, tuple(targets), training, expression)).own
    simple = {"mean_difference", "mann_whitney", "correlation", "inverse", "train_wasserstein"}
    assert simple | {"sort_regress", "dotears", "sparse_inverse"} <= set(got)
    scrambled = expression.copy()
    held_out = np.repeat(screen.where(splits=(keys.TEST, keys.VALIDATION)), np.diff(scrambled.indptr))
    scrambled.data[held_out] = 1.0
    again = rank(Inputs(screen, PERTURBED, tuple(targets), training, scrambled)).own
    for name, ranking in again.items():
        np.testing.assert_array_equal(ranking, got[name])
        assert ranking.shape == (len(PERTURBED), len(targets))
    cells = screen.where(splits=(keys.TRAIN,))
    dense = expression.toarray()
    a, b = (dense[cells, screen.cells.var_names.get_loc(gene)] for gene in ("PERT2", "VIA1"))
    assert got["correlation"][2, targets.index("VIA1")] == pytest.approx(abs(np.corrcoef(a, b)[0, 1]))
    assert np.isnan(got["correlation"][PERTURBED.index(UNMEASURED)]).all()
