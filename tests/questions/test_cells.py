"""Predicted cells: written, read back as effects, and scored as cell-eval scores them."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.write import write_cells
from gpovae_core.errors import DataError, QueryError
from gpovae_core.evaluation.predicted_cells import effects_of_cells
from gpovae_core.evaluation.response import discrimination, pearson_rows
from gpovae_core.evaluation.unseen import hold_out
from gpovae_core.questions.cells import NON_TARGETING, TARGET_GENE, predicted_cells
from gpovae_core.questions.whatif import Respondent
from tests.questions.test_whatif import SETTINGS, predictor, respondent
from tests.toy import toy_cells


def test_drawn_cells_have_the_predicted_effects(tmp_path: Path) -> None:
    names = toy_cells().perturbations[:2]
    drawn = predicted_cells(respondent(), names, each=4000)
    assert drawn.obs[TARGET_GENE].value_counts().to_dict() == dict.fromkeys((NON_TARGETING, *names), 4000)
    assert drawn.var_names.equals(toy_cells().cells.var_names)
    write_cells(drawn, tmp_path / "cells.h5ad")
    found = effects_of_cells(tmp_path / "cells.h5ad")
    expected = predictor().effects(names).mean
    values = drawn.X / np.log(2)
    labels = drawn.obs[TARGET_GENE].to_numpy()
    for name in names:
        parts = [values[labels == group].toarray() for group in (name, NON_TARGETING)]
        error = np.sqrt(sum(part.var(axis=0) / len(part) for part in parts))
        z = (found.loc[name] - expected.loc[name]) / error
        # cells of a guide's draw are alike, so errors are larger than those of independent cells
        assert np.abs(z).median() < 3
        assert np.corrcoef(found.loc[name], expected.loc[name])[0, 1] > 0.95
    again = predicted_cells(respondent(), names, each=4000)
    assert (again.X != drawn.X).nnz == 0


def test_which_cells_can_be_drawn() -> None:
    out = toy_cells().perturbations[0]
    one = Respondent(hold_out(toy_cells(), (out,)), SETTINGS, None, predictor)
    whole = predicted_cells(one, each=2)
    assert out not in set(whole.obs[TARGET_GENE])
    assert whole.obs[TARGET_GENE].nunique() > 2
    with pytest.raises(QueryError, match="No training cells of"):
        predicted_cells(one, (out,), each=2)
    with pytest.raises(QueryError, match="cells of each can be drawn"):
        predicted_cells(one, each=0)
    with pytest.raises(QueryError, match="not in the panel"):
        predicted_cells(one, ("NOBODY",))


def cells(values: np.ndarray, labels: list[str], column: str = "target_gene") -> anndata.AnnData:
    obs = pd.DataFrame({column: labels}, index=[f"c{i}" for i in range(len(labels))])
    return anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=["A", "B", "C"]))


COUNTS = np.array([[2, 0, 8], [1, 1, 8], [0, 4, 4], [2, 4, 2]], dtype=np.float32)
LABELS = ["non-targeting", "NTC", "A", "A"]


@pytest.mark.parametrize("kind", ["counts", "sparse", "logs", "other depth"])
def test_counts_and_logarithms_are_the_same_effects(kind: str, tmp_path: Path) -> None:
    share = COUNTS / COUNTS.sum(axis=1, keepdims=True)
    logs = np.log1p(1e4 * share)
    given = {
        "counts": COUNTS,
        "sparse": sparse.csr_matrix(COUNTS),
        "logs": logs,
        "other depth": np.log1p(321.5 * share),
    }[kind]
    write_cells(cells(given, LABELS), tmp_path / "x.h5ad")
    expected = (logs[2:].mean(axis=0) - logs[:2].mean(axis=0)) / np.log(2)
    found = effects_of_cells(tmp_path / "x.h5ad")
    assert list(found.index) == ["A"]
    np.testing.assert_allclose(found.loc["A"], expected, rtol=1e-5)


def test_panels_of_a_deeper_transcriptome_keep_their_depth(tmp_path: Path) -> None:
    """Where cells do not add up to one number, their genes are a part of what was counted."""
    logs = np.log1p(1e4 * COUNTS / np.array([[100], [80], [90], [200]]))
    write_cells(cells(logs, LABELS), tmp_path / "x.h5ad")
    expected = (logs[2:].mean(axis=0) - logs[:2].mean(axis=0)) / np.log(2)
    np.testing.assert_allclose(effects_of_cells(tmp_path / "x.h5ad").loc["A"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (cells(COUNTS - 1, LABELS), "below zero"),
        (cells(COUNTS * 100.5, LABELS), "neither counts nor logarithms"),
        (cells(COUNTS * np.nan, LABELS), "no finite numbers"),
        (cells(COUNTS, ["A", "A", "B", "B"]), "no control cells"),
        (cells(COUNTS, ["control"] * 4), "control cells alone"),
        (cells(COUNTS, LABELS, "other"), "has the columns other"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_are_no_predicted_cells_is_said(given: anndata.AnnData, part: str, tmp_path: Path) -> None:
    write_cells(given, tmp_path / "x.h5ad")
    with pytest.raises(QueryError, match=part):
        effects_of_cells(tmp_path / "x.h5ad")


def test_files_that_hold_no_cells(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="There is no file"):
        effects_of_cells(tmp_path / "missing.h5ad")
    (tmp_path / "text.h5ad").write_text("nothing")
    with pytest.raises(DataError):
        effects_of_cells(tmp_path / "text.h5ad")


def test_scores_are_those_of_cell_eval(tmp_path: Path) -> None:
    pytest.importorskip("cell_eval", reason="cell-eval is not installed (pip install cell-eval==0.8.2)")
    from cell_eval import PerturbationAnndataPair
    from cell_eval.metrics._anndata import discrimination_score, mae_delta, pearson_delta

    names = sorted(toy_cells().perturbations)
    names = [name for name in names if keys.PAIR_SEPARATOR not in name]
    guess = predicted_cells(respondent(), names, each=30)
    truth = predicted_cells(respondent(), names, each=20, seed=99)  # other cells: which does not matter here
    effects = {}
    for kind, drawn in (("pred", guess), ("real", truth)):
        write_cells(drawn, tmp_path / f"{kind}.h5ad")
        effects[kind] = effects_of_cells(tmp_path / f"{kind}.h5ad").loc[names].to_numpy()
    pair = PerturbationAnndataPair(truth, guess, TARGET_GENE, NON_TARGETING)
    theirs = pearson_delta(pair)
    np.testing.assert_allclose(
        pearson_rows(effects["real"], effects["pred"]), [theirs[name] for name in names], atol=1e-5
    )
    theirs = mae_delta(pair)
    ours = np.abs(effects["real"] - effects["pred"]).mean(axis=1) * np.log(2)
    np.testing.assert_allclose(ours, [theirs[name] for name in names], atol=1e-5)
    theirs = discrimination_score(pair, exclude_target_gene=False)
    nothing = np.zeros(effects["real"].shape, dtype=bool)
    ours = discrimination(effects["real"], effects["pred"], nothing)
    np.testing.assert_allclose(ours, [theirs[name] for name in names], atol=1e-9)
