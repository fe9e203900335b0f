"""The common lift in the rank test: taken out where it is beyond doubt; nothing changes where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from benchmarks.null_tests import with_labels
from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import adjusted, gene_tests
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.lift import clear_lifts, exchangeable

GENES, CONTROLS, CELLS = 60, 400, 100
ALL = keys.HELD_OUT


def screen(left: float, whole: bool = False, seed: int = 0) -> tuple[PreparedCells, np.ndarray]:
    """A perturbation that leaves so much of G0, a fifth of all counts, and, if it is less than all of it,
    changes five genes; which those are.
    """
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 1, GENES)
    share[0] = share[1:].sum() / 4
    treated = np.arange(CONTROLS + CELLS) >= CONTROLS
    level = share * rng.lognormal(0, 0.3, (len(treated), GENES))
    level[treated, 0] *= left
    moved = rng.choice(np.arange(1, GENES), 5, replace=False)
    level[np.ix_(treated, moved)] *= [0.4, 0.4, 2.2, 2.2, 2.2] if left < 1 else [1.0] * 5
    size = 500 * rng.lognormal(0, 0.3, (len(treated), 1))
    counts = rng.poisson(size * level / level.sum(axis=1, keepdims=True))
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: np.where(treated, "G0", keys.CONTROL),
            keys.SPLIT: keys.TEST,
            keys.LIBRARY_SIZE: counts.sum(axis=1).astype(float),
            **({keys.SIZE_FACTOR: size.ravel()} if whole else {}),
        },
        index=[f"c{i:04d}" for i in range(len(treated))],
    )
    matrix = sparse.csr_matrix(counts.astype(np.float32))
    return with_labels(matrix, obs, [f"G{i}" for i in range(GENES)]), moved


@pytest.fixture(scope="module")
def lifted() -> tuple[PreparedCells, np.ndarray]:
    return screen(0.1)


def below(p: np.ndarray) -> np.ndarray:
    return np.nan_to_num(adjusted(p[None])[0], nan=1.0) < 0.05


def test_genes_that_only_share_in_the_lift_do_not_change(
    lifted: tuple[PreparedCells, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, moved = lifted
    others = np.setdiff1d(np.arange(1, GENES), moved)
    p = gene_tests(prepared, ALL).to_numpy()[0]
    assert below(p)[moved].sum() >= 4
    assert below(p)[others].sum() <= 1
    assert (p[others] < 0.05).mean() < 0.08
    monkeypatch.setattr("gpovae_core.effects.lift.clear_lifts", lambda *_: {})
    as_measured = gene_tests(prepared, ALL).to_numpy()[0]
    assert (as_measured[others] < 0.05).mean() > 0.2


def test_the_lift_is_what_the_fall_of_the_gene_leaves(lifted: tuple[PreparedCells, np.ndarray]) -> None:
    (name, lift), *more = clear_lifts(lifted[0], ALL).items()
    assert (name, more) == ("G0", [])
    assert lift.log == pytest.approx(-np.log(1 - 0.2 * 0.9), abs=4 * lift.error)
    assert 0 < lift.error < 0.03


def test_without_a_clear_lift_nothing_changes() -> None:
    for prepared, _ in (screen(1.0, seed=1), screen(0.1, whole=True)):
        assert clear_lifts(prepared, ALL) == {}
        found, plain = exchangeable(prepared, ALL), Exchangeable.of(prepared, ALL)
        np.testing.assert_array_equal(found.stratum, plain.stratum)
        np.testing.assert_array_equal(found.scale, plain.scale)
        assert not found.otherwise


def test_controls_and_other_perturbations_are_ranked_as_before(
    lifted: tuple[PreparedCells, np.ndarray],
) -> None:
    prepared, _ = lifted
    control = prepared.labels == keys.CONTROL
    found, plain = exchangeable(prepared, ALL), Exchangeable.of(prepared, ALL)
    np.testing.assert_array_equal(found.stratum[control], plain.stratum[control])
    np.testing.assert_array_equal(found.scale[control], plain.scale[control])
    assert (found.scale[~control] < plain.scale[~control]).all()
    assert len(found.at(np.arange(5)).otherwise) == 2
