from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.enough import strong_knockdown
from gpovae_core.data.expression import log_expression
from gpovae_core.data.like_counts import as_csr
from gpovae_core.data.validate import examine
from tests.data.small import GENES, PERTURBED, shuffled, small_cells

Change = Callable[[AnnData], AnnData | None]


def _values(change: Callable[[np.ndarray], None]) -> Change:
    def apply(cells: AnnData) -> None:
        cells.X = cells.X.astype(np.float64)
        change(cells.X.data)

    return apply


def _log_normalise(cells: AnnData) -> None:
    cells.X = log_expression(cells.X).astype(np.float32)


def _scale_by_gene(cells: AnnData) -> None:
    """Logarithms divided by the spread of their gene: no cell has a step any more."""
    expression = log_expression(cells.X)
    cells.X = sparse.csr_matrix(expression.toarray() / expression.toarray().std(axis=0)).astype(np.float32)


def _set(values: np.ndarray, at: int, value: float) -> None:
    values[at] = value


def _obs(**columns: Any) -> Change:
    def apply(cells: AnnData) -> None:
        for name, value in columns.items():
            cells.obs[name] = value

    return apply


def _rename_labels(**names: str) -> Change:
    def apply(cells: AnnData) -> None:
        labels = cells.obs["perturbation"].astype(str)
        cells.obs["perturbation"] = labels.replace({old.replace("_", "-"): new for old, new in names.items()})

    return apply


def _few(label: str, n: int) -> Change:
    def apply(cells: AnnData) -> AnnData:
        labels = cells.obs["perturbation"].astype(str)
        drop = labels.index[(labels == label).to_numpy()][n:]
        return cells[~cells.obs_names.isin(drop)].copy()

    return apply


def _var_names(*names: str) -> Change:
    def apply(cells: AnnData) -> None:
        cells.var_names = [*names, *cells.var_names[len(names) :]]

    return apply


def _only(*labels: str) -> Change:
    return lambda cells: cells[cells.obs["perturbation"].astype(str).isin(labels)].copy()


def _ensembl(cells: AnnData) -> None:
    cells.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]


def _no_values(cells: AnnData) -> AnnData:
    return AnnData(obs=cells.obs, var=cells.var)


def _two_kinds(cells: AnnData) -> None:
    labels = cells.obs["perturbation"].astype(str).to_numpy().copy()
    labels[np.flatnonzero(labels == "non-targeting")[:20]] = "safe-targeting"
    cells.obs["perturbation"] = labels


def _empty_cells(cells: AnnData) -> None:
    cells.X = sparse.diags(np.repeat([0.0, 1.0], [5, cells.n_obs - 5])).tocsr() @ cells.X


def _drop_label(cells: AnnData) -> None:
    del cells.obs["perturbation"]


TABLE = [
    ("X scaled by gene", _scale_by_gene, {}, "not-raw-counts", "looks log-normalised"),
    ("cells that failed", _scale_by_gene, {}, "not-raw-counts", "in 100% of the cells"),
    ("zeros and ones", _values(lambda x: x.clip(0, 1, out=x)), {}, "counts-binary", "zeros and ones"),
    ("scaled X", _values(lambda x: _set(x, 3, -1.5)), {}, "counts-negative", "-1.5"),
    ("NaN in X", _values(lambda x: _set(x, 3, np.nan)), {}, "counts-not-finite", "NaN"),
    ("infinite X", _values(lambda x: _set(x, 3, np.inf)), {}, "counts-not-finite", "infinite"),
    ("normalised to 10,000", _values(lambda x: x.__imul__(100.5)), {}, "not-raw-counts", "looks normalised"),
    ("impossible counts", _values(lambda x: _set(x, 3, 2.0**25)), {}, "counts-too-large", "33,554,432"),
    ("only zeros", _values(lambda x: x.__imul__(0)), {}, "no-counts", "only zeros"),
    ("no X", _no_values, {}, "no-counts", "X is empty"),
    ("unknown layer", None, {"counts_layer": "umis"}, "counts-layer-missing", "only: X"),
    ("label column absent", _drop_label, {}, "label-column-missing", "No column of obs"),
    ("label column misspelt", None, {"label_column": "pert"}, "label-column-missing", "it has: perturbation"),
    ("transposed", lambda cells: cells.T.copy(), {}, "transposed", "rows look like genes"),
    ("no control", _rename_labels(**{"non_targeting": "LacZ"}), {}, "control-not-found", "LacZ (60)"),
    ("wrong control", None, {"control_label": "LacZ"}, "control-not-found", "non-targeting (60)"),
    ("two kinds of control", _two_kinds, {}, "control-ambiguous", "safe-targeting (20 cells)"),
    ("duplicate genes", _var_names("GENE05"), {}, "duplicate-gene-names", "e.g. GENE05"),
    ("a gene without a name", _var_names(""), {}, "gene-names-missing", "1 of 30"),
    ("numbers as gene names", _var_names(*map(str, range(30))), {}, "gene-names-missing", "0, 1, 2"),
    ("symbol column misspelt", None, {"symbol_column": "name"}, "symbol-column-missing", "'name'"),
    ("one perturbation", _only("non-targeting", "GENE03"), {}, "single-perturbation", "only GENE03"),
    (
        "one perturbation after the filter",
        _few("GENE03", 3),
        {"min_cells": 61},
        "no-perturbations",
        "none after leaving out 3",
    ),
    (
        "only controls and one small one",
        _only("non-targeting", "GENE03"),
        {"min_cells": 70},
        "no-perturbations",
        "none",
    ),
    ("few controls", _few("non-targeting", 12), {}, "too-few-controls", "12 control cells; at least 40"),
    (
        "labels of guides",
        _obs(perturbation=["NT", *(f"AA{i % 3}-{i % 2}" for i in range(239))]),
        {},
        "guide-level-labels",
        "'AA0-0' (AA0?)",
    ),
]


@pytest.mark.parametrize(
    ("change", "settings", "code", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_what_stops_the_work_is_named_in_words(
    change: Change | None, settings: dict[str, Any], code: str, words: str
) -> None:
    cells = small_cells()
    made = change(cells) if change else None
    examination = examine(cells if made is None else made, DataSettings(**settings))
    errors = {problem.code: problem for problem in examination.problems if problem.severity == "error"}
    assert code in errors
    assert words in errors[code].message
    assert errors[code].hint
    assert not examination.ok
    assert examination.reading is None


@pytest.mark.parametrize(
    ("change", "settings", "code", "words"),
    [
        pytest.param(_few("GENE11", 12), {}, "few-cells", "GENE11 (12)", id="few cells"),
        pytest.param(_rename_labels(GENE03="HS2"), {}, "unmeasured-targets", "HS2", id="unmeasured target"),
        pytest.param(_empty_cells, {}, "empty-cells", "5 cells", id="empty cells"),
        pytest.param(
            _ensembl,
            {"unclear_labels": "as written"},
            "ensembl-ids-only",
            "no column of var",
            id="Ensembl ids without symbols",
        ),
        pytest.param(
            _two_kinds,
            {"control_label": "safe-targeting", "min_cells": 10},
            "other-controls",
            "40 cells",
            id="other control",
        ),
        pytest.param(
            _rename_labels(GENE20="unassigned"), {}, "no-single-perturbation", "60 cells", id="unassigned"
        ),
        pytest.param(_rename_labels(GENE20=""), {}, "cells-without-label", "60 cells", id="no label"),
    ],
)
def test_what_is_left_out_is_a_warning_and_the_rest_is_used(
    change: Change, settings: dict[str, Any], code: str, words: str
) -> None:
    cells = small_cells()
    made = change(cells)
    examination = examine(cells if made is None else made, DataSettings(**settings))
    assert examination.ok
    warnings = {problem.code: problem for problem in examination.problems if problem.severity == "warning"}
    assert words in warnings[code].message
    summary = examination.summary
    assert summary["cells"] == summary["cells_kept"] + sum(entry["count"] for entry in summary["dropped"])


def test_a_clean_file_has_no_problems_and_a_summary_that_json_can_carry() -> None:
    examination = examine(small_cells(), DataSettings())
    assert examination.problems == ()
    assert json.loads(json.dumps(examination.summary)) == examination.summary
    assert examination.summary["perturbations"] == dict.fromkeys(PERTURBED, 60)
    assert examination.summary["control_cells"] == 60
    assert examination.summary["counts_from"] == "X"


def test_all_problems_come_at_once() -> None:
    cells = small_cells()
    _scale_by_gene(cells)
    cells.obs["perturbation"] = cells.obs["perturbation"].astype(str).replace("non-targeting", "LacZ")
    cells.var_names = ["GENE05", *cells.var_names[1:]]
    codes = {problem.code for problem in examine(cells, DataSettings()).problems}
    assert codes >= {"not-raw-counts", "control-not-found", "duplicate-gene-names"}


def test_the_file_is_not_changed() -> None:
    cells = small_cells()
    before = cells.copy()
    examine(cells, DataSettings())
    assert (cells.X != before.X).nnz == 0
    pd.testing.assert_frame_equal(cells.obs, before.obs)


@pytest.mark.parametrize("place", ["counts", "raw_counts", "raw", "my_layer"])
def test_counts_are_found_where_they_are_and_said_so(place: str) -> None:
    cells = small_cells()
    if place == "raw":
        cells.raw = cells
    else:
        cells.layers[place] = cells.X.copy()
    expected = cells.X.sum()
    _log_normalise(cells)
    examination = examine(cells, DataSettings())
    assert examination.ok
    assert examination.summary["counts_from"] == place
    (warning,) = examination.problems
    assert warning.code == "counts-not-in-x"
    assert examination.reading is not None
    assert examination.reading.counts.sum() == expected


def test_raw_brings_its_own_genes() -> None:
    whole = small_cells()
    cells = whole[:, :10].copy()
    _log_normalise(cells)
    cells.raw = whole
    examination = examine(cells, DataSettings())
    assert examination.summary["genes"] == len(GENES)
    assert examination.summary["unmeasured_targets"] == []


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(lambda x: x.toarray(), id="dense"),
        pytest.param(sparse.csc_matrix, id="csc"),
        pytest.param(sparse.csr_array, id="csr_array"),
        pytest.param(lambda x: x.astype(np.int64), id="int64"),
        pytest.param(lambda x: x.astype(np.uint16), id="uint16"),
    ],
)
def test_every_way_of_storing_counts_gives_the_same(store: Callable[[Any], Any]) -> None:
    cells = small_cells()
    other = AnnData(store(cells.X), obs=cells.obs, var=cells.var)
    first, second = examine(cells, DataSettings()).reading, examine(other, DataSettings()).reading
    assert first is not None
    assert second is not None
    assert (first.counts != second.counts).nnz == 0
    assert second.counts.dtype == np.float32
    assert second.counts.has_sorted_indices


def test_the_order_of_the_file_does_not_reach_the_reading() -> None:
    first, second = (
        examine(cells, DataSettings()).reading for cells in (small_cells(), shuffled(small_cells()))
    )
    assert first is not None
    assert second is not None
    assert first.genes == second.genes == tuple(sorted(GENES))
    pd.testing.assert_series_equal(first.labels, second.labels)
    assert (first.counts != second.counts).nnz == 0


def test_ensembl_ids_give_way_to_symbols_and_are_kept_beside_them() -> None:
    cells = small_cells()
    cells.var["gene_symbol"] = [*cells.var_names[:28], "GENE00", ""]
    cells.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]
    cells.X = cells.X @ sparse.diags(np.where(np.arange(cells.n_vars) == 28, 9.0, 1.0))
    reading = examine(cells, DataSettings()).reading
    assert reading is not None
    assert reading.ids["GENE00"] == "ENSG00000000000", "the lowest id, although another has more counts"
    assert {"ENSG00000000028", "ENSG00000000029"} <= set(reading.genes)
    assert reading.counts.sum() == cells.X.sum()
    again = examine(shuffled(cells), DataSettings()).reading
    assert again is not None
    assert again.ids == reading.ids


def test_raw_without_columns_gets_the_symbols_of_var() -> None:
    cells = small_cells()
    cells.var["feature_name"] = list(cells.var_names)
    cells.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]
    cells.raw = AnnData(cells.X.copy(), obs=cells.obs, var=pd.DataFrame(index=cells.var_names))
    _log_normalise(cells)
    examination = examine(cells, DataSettings(counts_layer="raw"))
    assert examination.reading is not None
    assert set(examination.reading.genes) == set(GENES)
    assert not any("no column" in problem.message for problem in examination.problems)


def test_every_decision_has_a_setting_that_the_examination_is_kept_by() -> None:
    from dashboard.shared.data_files import EXAMINED_BY

    cells = small_cells()
    cells.var["gene_symbol"] = list(cells.var_names)
    decisions = examine(cells, DataSettings()).decisions
    made = {decision.setting for decision in decisions}
    assert made >= {"counts_layer", "symbol_column", "label_column", "control_label", "batch", "guide"}
    assert made <= set(EXAMINED_BY)
    for decision in decisions:
        for option in decision.options:
            assert DataSettings(**{decision.setting: option.value})


def test_a_design_column_that_is_told_can_be_changed_also_where_labels_are_not_read() -> None:
    cells = small_cells()
    _drop_label(cells)
    decisions = examine(cells, DataSettings(batch="rack")).decisions
    assert "batch" in {decision.setting for decision in decisions}


def test_symbols_in_the_index_keep_the_ids_of_a_column() -> None:
    cells = small_cells()
    cells.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(cells.n_vars)]
    reading = examine(cells, DataSettings()).reading
    assert reading is not None
    assert reading.ids["GENE07"] == "ENSG00000000007"


def test_only_strong_knock_downs_stay_when_asked() -> None:
    expression = sparse.csr_matrix(np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [0.2], [3.9], [9.0]]))
    labels = np.array([*[keys.CONTROL] * 5, "A", "A", "B"], dtype=object)
    assert strong_knockdown(expression, ["A"], labels, 10.0).tolist() == [True] * 6 + [False, True]
    cut = np.percentile([0.0, 1.0, 2.0, 3.0, 4.0], 99.0)
    assert cut > 3.9
    assert strong_knockdown(expression, ["A"], labels, 99.0).all()


def test_weak_cells_are_listed_before_small_perturbations_are() -> None:
    settings = DataSettings(strong_knockdown_only=True, min_cells=5)
    examination = examine(small_cells(), settings)
    dropped = examination.summary["dropped"]
    assert dropped
    assert {entry["name"] for entry in dropped} <= set(PERTURBED)
    assert examination.summary["cells"] == examination.summary["cells_kept"] + sum(
        entry["count"] for entry in dropped
    )


def test_csr_is_a_copy_without_stored_zeros() -> None:
    source = sparse.csr_matrix(
        (np.array([1.0, 0.0, 2.0]), np.array([2, 1, 0]), np.array([0, 3])), shape=(1, 3)
    )
    result = as_csr(source)
    assert result.indices.tolist() == [0, 2]
    assert source.data.tolist() == [1.0, 0.0, 2.0]


def _together(cells: AnnData, combinations: int, genes: int) -> AnnData:
    """Every perturbed cell with `genes` genes, in one of `combinations`."""
    rng = np.random.default_rng(0)
    sets = ["+".join(sorted(rng.choice(GENES, genes, replace=False))) for _ in range(combinations)]
    labels = cells.obs["perturbation"].astype(str).to_numpy(dtype=object)
    perturbed = np.flatnonzero(labels != "non-targeting")
    labels[perturbed] = [sets[place % combinations] for place in range(len(perturbed))]
    cells.obs["perturbation"] = labels
    return cells


def test_cells_with_many_genes_each_are_told_with_the_word_moi() -> None:
    """As many combinations as cells: none can be compared, and that is said beside the refusal."""
    found = examine(_together(small_cells(), 1000, 6), DataSettings())
    codes = {problem.code: problem.message for problem in found.problems}
    assert "MOI" in codes["high-moi"]
    assert "no-perturbations" in codes
    assert "MOI" not in " ".join(p.message for p in examine(small_cells(), DataSettings()).problems)


def test_a_library_of_pairs_is_told_that_no_gene_stands_alone() -> None:
    found = examine(_together(small_cells(), 3, 2), DataSettings(min_cells=2))
    assert found.ok
    assert [problem.code for problem in found.problems if "MOI" in problem.message] == ["no-gene-alone"]


def test_names_of_targets_in_another_column_of_var_are_pointed_to() -> None:
    cells = small_cells()
    cells.var["my_names"] = list(cells.var_names)
    cells.var.index = [f"NM_{i + 100}.2" for i in range(cells.n_vars)]
    examination = examine(cells, DataSettings())
    (problem,) = [one for one in examination.problems if one.severity == "error"]
    assert problem.code == "symbols-in-a-column"
    assert "'my_names'" in problem.hint
    assert examine(cells, DataSettings(symbol_column="my_names")).ok


@pytest.mark.parametrize("form", ["GRCh38_{}", "{}_ENSG00000100000", "{}|9606"])
def test_genes_with_a_word_beside_their_names_are_no_unmeasured_targets(form: str) -> None:
    cells = small_cells()
    cells.var.index = [form.format(name) for name in cells.var_names]
    examination = examine(cells, DataSettings())
    assert not examination.ok
    assert any(one.code == "labels-near-genes" for one in examination.problems)


def test_how_many_perturbations_there_are_is_not_said_before_labels_are_decided() -> None:
    cells = small_cells()
    cells.obs["perturbation"] = [
        label if label == "non-targeting" else f"{label}x" for label in cells.obs["perturbation"]
    ]
    found = examine(cells, DataSettings())
    assert [problem.code for problem in found.problems] == ["labels-near-genes"]


@pytest.mark.parametrize("ids_are", ["genes", "labels"])
def test_ids_on_one_side_and_symbols_on_the_other_are_asked_about(ids_are: str) -> None:
    """The fall of a perturbed gene under its other name would be its first edge."""
    cells = small_cells()
    ids = {gene: f"ENSG{i:011d}" for i, gene in enumerate(GENES)}
    if ids_are == "genes":
        cells.var_names = list(ids.values())
    else:
        cells.obs["perturbation"] = [ids.get(str(label), label) for label in cells.obs["perturbation"]]
    found = examine(cells, DataSettings())
    assert [p.code for p in found.problems if p.severity == "error"] == ["targets-named-otherwise"]
    assert [decision.setting for decision in found.decisions if decision.asked] == ["unclear_labels"]
    assert examine(cells, DataSettings(unclear_labels="as written")).ok
    cells.var["other"] = list(ids) if ids_are == "genes" else list(ids.values())
    cells.var = cells.var.rename(
        columns={"other": "external gene name" if ids_are == "genes" else "gene_ids"}
    )
    found = examine(cells, DataSettings())
    assert found.ok
    assert sorted(found.summary["perturbations"]) == list(PERTURBED)


def test_symbols_in_a_column_of_another_name_are_asked_about_and_chosen() -> None:
    cells = small_cells()
    cells.var["my names"] = list(GENES)
    cells.var_names = [f"ENSG{i:011d}" for i in range(len(GENES))]
    found = examine(cells, DataSettings())
    assert [problem.code for problem in found.problems][:1] == ["symbols-in-a-column"]
    assert "ensembl-ids-only" not in [problem.code for problem in found.problems]
    (asked,) = [decision for decision in found.decisions if decision.asked]
    assert asked.setting == "symbol_column"
    assert [option.value for option in asked.options] == ["my names"]
    assert examine(cells, DataSettings(symbol_column="my names")).ok


@pytest.mark.parametrize("names", [[str(i) for i in range(len(GENES))], ["A", *GENES[1:-1], "A"]])
def test_genes_without_usable_names_say_nothing_of_labels(names: list[str]) -> None:
    cells = small_cells(
        genes=[f"STAT{i}" for i in range(len(GENES))], labels=("NT", "STAT1", "STAT2", "STAT3")
    )
    cells.var_names = names
    cells.var["gene_symbol"] = [f"STAT{i}" for i in range(len(GENES))]
    found = examine(cells, DataSettings())
    codes = [problem.code for problem in found.problems if problem.severity == "error"]
    assert codes in (["gene-names-missing"], ["duplicate-gene-names"])
    assert [decision.setting for decision in found.decisions if decision.asked] == ["symbol_column"]
    assert examine(cells, DataSettings(symbol_column="gene_symbol")).ok
