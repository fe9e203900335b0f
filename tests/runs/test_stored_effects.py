"""Effects that stay on disk: the same numbers as all of them in memory."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.errors import RunError
from gpovae_core.plots import response
from gpovae_core.runs.folder import RunFolder
from tests.fake_run import make_fake_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_fake_run(tmp_path / "run", n_perturbed=6, n_extended=3, n_measured=20)


def test_rows_and_layers_are_those_in_memory(run: RunFolder) -> None:
    whole, stored = run.effects(), run.stored_effects()
    assert stored.shape == whole.shape == (stored.n_obs, stored.n_vars)
    assert list(stored.obs_names) == list(whole.obs_names)
    assert list(stored.var_names) == list(whole.var_names)
    assert stored.obs.equals(whole.obs)
    assert set(stored.layers) == set(whole.layers)
    for name, layer in whole.layers.items():
        values = np.asarray(layer)
        np.testing.assert_array_equal(np.asarray(stored.layers[name]), values)
        np.testing.assert_array_equal(stored.layers[name][3], values[3])
        np.testing.assert_array_equal(stored.layers[name][1:4], values[1:4])
        chosen = np.array([4, 0, 4])  # out of order, and one twice
        np.testing.assert_array_equal(stored.layers[name][chosen], values[chosen])


@pytest.mark.parametrize("reference", ["test", "all"])
def test_figures_are_the_same_from_disk(
    run: RunFolder, reference: response.Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "ROWS", 4)  # more than one block
    whole, stored = run.effects(), run.stored_effects()
    assert response.clearest(stored, reference) == response.clearest(whole, reference)
    assert response.effect_sizes(stored, reference).equals(response.effect_sizes(whole, reference))
    for name in whole.obs_names[:2]:
        found = response.response_table(stored, name, reference)
        assert found.equals(response.response_table(whole, name, reference))


def test_nothing_but_names_is_read_before_it_is_asked_for(run: RunFolder) -> None:
    with h5py.File(run.path / "effects.h5ad", "r+") as file:
        layer = file[f"layers/{keys.PREDICTED}"]
        assert isinstance(layer, h5py.Dataset)
        layer.id.write_direct_chunk((0, 0), b"no gzip", 0)
    stored = run.stored_effects()
    assert np.isfinite(np.asarray(stored.layers[keys.OBSERVED_ALL])).all()
    with pytest.raises(RunError, match=r"effects\.h5ad is damaged"):
        np.asarray(stored.layers[keys.PREDICTED])


def test_a_run_whose_effects_are_replaced_can_be_read_on(run: RunFolder) -> None:
    stored, effects = run.stored_effects(), run.effects()
    effects.layers[keys.PREDICTED] = np.asarray(effects.layers[keys.PREDICTED]) + 1
    run.write_effects(effects)
    np.testing.assert_array_equal(stored.layers[keys.PREDICTED][0], effects.layers[keys.PREDICTED][0])  # type: ignore[index]


def test_a_layer_of_another_shape_is_damage(run: RunFolder) -> None:
    with h5py.File(run.path / "effects.h5ad", "r+") as file:
        del file[f"layers/{keys.PREDICTED}"]
        file[f"layers/{keys.PREDICTED}"] = np.zeros((2, 2))
    with pytest.raises(RunError, match="has shape"):
        run.stored_effects()


def test_sparse_layers_and_layers_in_memory(run: RunFolder) -> None:
    whole = run.effects()
    values = np.asarray(whole.layers[keys.OBSERVED_ALL]).copy()
    values[np.abs(values) < 0.2] = 0
    effects = AnnData(obs=whole.obs, var=whole.var, layers={"thin": sparse.csr_matrix(values)})
    run.write_effects(effects)
    stored = run.stored_effects()
    np.testing.assert_array_equal(np.asarray(stored.layers["thin"]), values)
    np.testing.assert_array_equal(stored.layers["thin"][2], values[2])
    held = stored.with_layers({"more": 2 * values}).held("thin", "not there")
    assert set(held.layers) == {"thin", "more"}
    assert isinstance(held.layers["thin"], np.ndarray)


def test_torn_effects_are_named(run: RunFolder) -> None:
    content = (run.path / "effects.h5ad").read_bytes()
    (run.path / "effects.h5ad").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"effects\.h5ad is damaged"):
        run.stored_effects()
