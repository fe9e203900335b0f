"""Methods of optional packages: what is said without them, and a known network with them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.methods import dagma, extras, gies, notears
from tests.methods.test_comparators import GENES, given, linear_cells, precision


@pytest.mark.parametrize("module", [notears, dagma, gies])
def test_a_package_that_is_not_installed_is_said_in_words(module, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert module.METHOD.unavailable() == (
        f"the package {module.PACKAGE} is not installed (pip install 'gpovae[comparators]')."
    )
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    assert module.METHOD.unavailable() is None


@pytest.mark.parametrize("module", [notears, dagma, gies])
def test_larger_panels_are_refused_before_anything_is_computed(module, monkeypatch):
    monkeypatch.setattr(module, "MOST_GENES", 7)
    inputs, _ = linear_cells(cells=20)
    with pytest.raises(QueryError, match="beyond 7 measured panel genes, and this panel has 8"):
        module.score(inputs)


def test_rows_in_place_of_cells_have_their_covariance():
    inputs, _ = linear_cells(cells=20)
    rows = extras.in_place_of_cells(inputs)
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(
        rows.T @ rows / len(rows), np.cov(inputs.expression.toarray().T, bias=True), atol=1e-10
    )


@pytest.mark.parametrize("module", [notears, dagma])
def test_networks_of_equal_noise_are_found(module):
    pytest.importorskip(module.PACKAGE)
    rng = np.random.default_rng(0)
    direct = np.triu(rng.random((8, 8)) < 0.4, k=1) * rng.choice([-1.2, 1.2], size=(8, 8))
    values = np.zeros((3000, 8))
    for gene in range(8):
        values[:, gene] = values @ direct[:, gene] + rng.normal(size=3000)
    labels = np.repeat([keys.CONTROL, *GENES[:5]], 500).astype(object)
    assert precision(module.score(given(values + 50, labels)), direct) > 0.8


def test_gies_is_told_what_was_perturbed():
    pytest.importorskip("gies")
    inputs, direct = linear_cells(extra=("G0+G2",))
    found = gies.score(inputs)
    assert set(np.unique(found)) <= {0.0, 0.5, 1.0}
    assert precision(found, direct) > 0.8


@pytest.mark.skipif(find_spec("dagma") is None, reason="dagma is not installed")
def test_dagma_keeps_its_progress_to_itself(capfd):
    dagma.score(linear_cells(cells=20)[0])
    assert capfd.readouterr().err == ""
