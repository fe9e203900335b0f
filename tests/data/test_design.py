"""What a screen's design is read from: by name, by content, by setting; and what the real files answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.design.find import Design, find_design, missing_columns
from gpovae_core.data.design.names import is_usual
from gpovae_core.data.design.strata import strata
from gpovae_core.data.prepare import prepare
from gpovae_core.data.read import read_cells
from gpovae_core.data.schema import PreparationReport
from gpovae_core.data.validate import examine
from gpovae_core.errors import DataError
from tests.conftest import shared_folder
from tests.data.small import PERTURBED, small_cells

LABELS = np.repeat(np.array(["control", "A", "B", "C"], dtype=object), 40)
N = len(LABELS)
TOTALS = np.full(N, 100.0)
ALTERNATING = np.arange(N) % 2
GUIDES = np.array([f"{label}_{i % 2}" for i, label in enumerate(LABELS)])


def _found(columns: dict[str, Any], label_column: str | None = None, **settings: str) -> Design:
    obs = pd.DataFrame(columns, index=[f"c{i}" for i in range(N)])
    return find_design(obs, LABELS, TOTALS, DataSettings(**settings), label_column)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        pytest.param({"batch": ALTERNATING}, "batch", id="usual name"),
        pytest.param({"GEM-Group": ALTERNATING}, "GEM-Group", id="folded name"),
        pytest.param({"orig.ident": ALTERNATING, "lane": ALTERNATING}, "lane", id="order of the names"),
        pytest.param({"Batch": np.arange(N) % 3, "batch": ALTERNATING}, "batch", id="names alike in case"),
        pytest.param({"batch": np.zeros(N), "lane": ALTERNATING}, "lane", id="one value"),
        pytest.param({"batch": np.full(N, np.nan)}, None, id="nothing but missing"),
        pytest.param({"tissue": ALTERNATING}, None, id="no usual name"),
        pytest.param({"batch": LABELS}, None, id="the perturbation itself"),
        pytest.param({"well": GUIDES}, None, id="wells of one guide each"),
        pytest.param({"batch": np.where(LABELS == "C", "b", "a")}, "batch", id="controls in one batch"),
        pytest.param({"batch": np.isin(LABELS, ["control", "A"])}, None, id="most cells without controls"),
        pytest.param({"batch": pd.Categorical(ALTERNATING, categories=[0, 1, 7])}, "batch", id="unused"),
        pytest.param({"batch": pd.Categorical(np.zeros(N, int), categories=[0, 1])}, None,
                     id="one value of two levels"),
    ],
)  # fmt: skip
def test_a_batch_holds_controls_beside_perturbed_cells(columns: dict[str, Any], expected: str | None) -> None:
    assert _found(columns).columns.batch == expected


def test_what_is_no_batch_is_said() -> None:
    (note,) = _found({"well": GUIDES}).notes
    assert "'well'" in note
    assert "shares a value with control cells" in note


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        pytest.param(np.where(LABELS == "C", "late", "early"), ["C"], id="one of three"),
        pytest.param(
            np.select(
                [LABELS == "C", LABELS != "control"], [None, "a"], np.array(["a", "b"])[ALTERNATING]
            ),
            ["C"],
            id="not known",
        ),
    ],
)  # fmt: skip
def test_perturbations_without_controls_in_their_batch_are_named(batch: np.ndarray, named: list[str]) -> None:
    found = _found({"batch": batch})
    assert list(found.without_controls) == named
    told = [problem for problem in found.problems if problem.code == "no-controls-beside"]
    assert len(told) == bool(named)
    if named:
        assert told[0].severity == "warning"
        assert "1 perturbation of 3 has no control cells in its batch ('batch')" in told[0].message
        assert "C (40 cells)" in told[0].message
        assert "--batch none" in told[0].hint
    assert found.unseparated == ()


@pytest.mark.parametrize(
    "batch",
    [
        pytest.param(np.where(LABELS == "control", "a", "b"), id="controls in a batch of their own"),
        pytest.param(np.where(LABELS == "control", None, np.array(["a", "b"])[ALTERNATING]), id="unknown"),
        pytest.param(LABELS, id="a plate for each"),
        pytest.param(
            np.where(np.isin(LABELS, ["control", "A"]), "a", "b"), id="one of three beside controls"
        ),
    ],
)
@pytest.mark.parametrize("told", [{}, {"batch": "none"}])
def test_a_batch_that_keeps_controls_apart_is_a_warning(batch: np.ndarray, told: dict[str, str]) -> None:
    """Nothing can be compared within it, so that it is compared without, whoever wants it."""
    found = _found({"batch": batch}, **told)
    assert (found.columns.batch, found.without_controls, found.unseparated) == (None, (), ("batch",))
    (problem,) = found.problems
    assert (problem.code, problem.severity) == ("batch-not-compared", "warning")
    assert "how many edges are false is not known" in problem.message


def test_cells_of_an_unknown_batch_are_compared_with_nobody_and_counted() -> None:
    batch = np.array(["a", "b"], dtype=object)[ALTERNATING]
    batch[[3, 50, 51, 52]] = None
    found = _found({"batch": batch})
    assert found.columns.batch == "batch"
    assert found.problems == ()
    assert any("4 cells (2.5%) have no value there" in note for note in found.notes)
    within = strata(found.values, LABELS)
    assert within is not None
    assert set(within[[50, 51, 52]].tolist()) & set(within[LABELS == "control"].tolist()) == set()
    assert within[3] not in np.delete(within, 3)


def test_batch_and_condition_without_controls_are_no_reason_to_forget_the_batch() -> None:
    """Conditions alone would leave more cells beside controls, with the batch as an effect."""
    batch = np.where((LABELS == "C") | ((LABELS == "control") & (np.arange(N) % 4 < 2)), "late", "early")
    batch[LABELS == "B"] = "third"
    found = _found({"batch": batch, "condition": np.where(ALTERNATING, "IFN", "none")})
    within = strata(found.values, LABELS)
    assert within is not None
    assert len(set(within.tolist())) == 6
    assert found.without_controls == ("B",)


def test_codes_become_text_and_missing_ones_are_unknown() -> None:
    codes = ALTERNATING.astype(float)
    codes[[5, 6, 7, 50, 51, 52]] = np.nan
    values = _found({"batch": codes}).values[keys.BATCH]
    assert list(values.cat.categories) == ["0", "1", keys.UNKNOWN]
    assert (values == keys.UNKNOWN).sum() == 6
    unused = pd.Categorical(ALTERNATING.astype(str), categories=["0", "1", "7"])
    assert list(_found({"batch": unused}).values[keys.BATCH].cat.categories) == ["0", "1"]


def test_a_column_stands_for_one_part_only() -> None:
    found = _found({"batch": ALTERNATING, "donor": ALTERNATING}, donor="batch")
    assert (found.columns.donor, found.columns.batch) == ("batch", None)
    assert _found({"condition": ALTERNATING}, label_column="condition").columns.condition is None


def test_parts_that_divide_the_cells_alike_are_said() -> None:
    found = _found({"batch": ALTERNATING, "condition": np.where(ALTERNATING, "IFN", "none")})
    assert found.columns.condition == "condition"
    assert set(found.values[keys.CONDITION]) == {"IFN", "none"}, "'none' is a condition like another"
    assert any("divide the cells alike" in note for note in found.notes)


@pytest.mark.parametrize(
    ("guides", "expected"),
    [
        pytest.param(GUIDES, True, id="two guides each"),
        pytest.param(LABELS, False, id="one to one"),
        pytest.param(np.where(LABELS == "control", GUIDES, LABELS), True, id="several control guides only"),
        pytest.param([f"barcode{i}" for i in range(N)], False, id="a value a cell"),
        pytest.param(np.where(np.arange(N) < 100, None, GUIDES), False, id="mostly missing"),
        pytest.param(np.where(np.arange(N) % 10 == 0, None, GUIDES), True, id="some missing"),
        pytest.param([f"X{i % 40}" for i in range(N)], False, id="many values, in every perturbation"),
    ],
)
def test_a_guide_goes_with_one_perturbation(guides: Any, expected: bool) -> None:
    assert (_found({"sgRNA": guides}).columns.guide == "sgRNA") is expected


def test_guides_numbered_anew_are_read_with_their_perturbation() -> None:
    found = _found({"guide": np.arange(N) % 3})
    assert found.columns.guide == "guide"
    assert set(found.values[keys.GUIDE]) == {f"{label} {i}" for label in set(LABELS) for i in range(3)}
    assert "counted anew" in found.notes[0]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param(lambda i, n: i % (8 if n == 0 else 3), True, id="more control guides"),
        pytest.param(lambda i, n: i % (30 if n == 0 else 2), True, id="many control guides"),
        pytest.param(lambda i, n: i % 3 + (i % 3 == 2 and n == 3 and i % 9 == 2), True, id="a fourth guide"),
        pytest.param(lambda i, n: 2 * n + i % 2 if n < 3 else 2 + 2 * (i % 2), False, id="half shared"),
        pytest.param(lambda i, n: i % 2 + 10 * (n == 0), True, id="control guides of their own"),
    ],
)
def test_numbered_guides_whatever_controls_have(numbers: Any, expected: bool) -> None:
    guides = [numbers(i, list("cABC").index(label[0])) for i, label in enumerate(LABELS)]
    found = _found({"guide": guides})
    assert found.columns.guide == ("guide" if expected else None)
    named = _found({"guide": guides}, guide="guide")
    assert bool(named.problems) is not expected
    if expected:
        assert set(found.values[keys.GUIDE]) == {
            f"{label} {guide}" for label, guide in zip(LABELS, guides, strict=True)
        }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{}_g{}", True, id="STAT1_g1"),
        pytest.param("{}-{}", True, id="STAT1-2"),
        pytest.param("sg{}_{}", True, id="sgSTAT1_3"),
        pytest.param("{}_ACGTACGT{}ACGTACGT", True, id="sequences"),
        pytest.param("{}", False, id="one value a gene"),
    ],
)
@pytest.mark.parametrize("name", ["guide", "perturbation", "label"])
def test_labels_that_name_guides_are_the_guides(written: str, expected: bool, name: str) -> None:
    cells = small_cells()
    number = np.arange(cells.n_obs) % 2
    letters = np.array(["A", "C"] if "ACGT" in written else ["1", "2"])[number]
    gene = cells.obs.pop("perturbation").astype(str)
    cells.obs[name] = [
        f"NT_{i % 8}" if label == "non-targeting" else written.format(label, letter)
        for i, (label, letter) in enumerate(zip(gene, letters, strict=True))
    ]
    examination = examine(cells, DataSettings())
    assert examination.ok
    assert examination.summary["label_column"] == name
    assert examination.summary["design"]["guide"] == (name if expected else None)
    (decision,) = [one for one in examination.decisions if one.setting == "guide"]
    assert decision.taken == (f"column '{name}' of obs" if expected else "none")
    prepared = prepare(cells, DataSettings())
    assert (keys.GUIDE in prepared.cells.obs) is expected
    if expected:
        assert any("the labels" in note for note in examination.summary["notes"])
        guides = prepared.cells.obs[[keys.PERTURBATION, keys.GUIDE]].drop_duplicates()
        assert guides.value_counts(keys.PERTURBATION).to_dict() == {
            keys.CONTROL: 8, **dict.fromkeys(PERTURBED, 2)
        }  # fmt: skip
    off = examine(cells, DataSettings(guide="none")).summary["design"]
    assert off["guide"] is None


@pytest.mark.parametrize(
    "spellings",
    [
        pytest.param(("{}", "{} "), id="spaces"),
        pytest.param(("{}", "{}_KO"), id="kind of perturbation"),
        pytest.param(("{}+ctrl", "ctrl+{}"), id="beside a control on either side"),
        pytest.param(("{}_NegCtrl0", "NegCtrl0_{}"), id="beside a control guide on either side"),
    ],
)
def test_spellings_of_a_gene_are_no_guides(spellings: tuple[str, str]) -> None:
    cells = small_cells()
    cells.obs["perturbation"] = [
        label if label == "non-targeting" else spellings[i % 2].format(label)
        for i, label in enumerate(cells.obs["perturbation"].astype(str))
    ]
    examination = examine(cells, DataSettings())
    assert examination.ok
    assert examination.summary["design"]["guide"] is None


def test_a_column_of_guides_comes_before_labels_that_name_them() -> None:
    cells = small_cells()
    number = np.arange(cells.n_obs) % 2
    gene = cells.obs["perturbation"].astype(str)
    cells.obs["perturbation"] = [f"{label}_g{i}" for label, i in zip(gene, number, strict=True)]
    cells.obs["sgRNA"] = [f"{label}_{i % 3}" for i, label in enumerate(gene)]
    summary = examine(cells, DataSettings(label_column="perturbation")).summary
    assert summary["design"]["guide"] == "sgRNA"
    assert not any("the labels in" in note for note in summary["notes"])


def test_guides_of_combinations() -> None:
    cells = small_cells(labels=("non-targeting", *PERTURBED, "GENE03+GENE20"))
    number = np.arange(cells.n_obs) % 2
    cells.obs["feature_call"] = [
        "|".join(f"{gene}_{i}" for gene in label.split("+"))
        for i, label in zip(number, cells.obs["perturbation"], strict=True)
    ]
    obs = prepare(cells, DataSettings()).cells.obs
    pairs = obs.loc[obs[keys.PERTURBATION] == "GENE03+GENE20", keys.GUIDE]
    assert set(pairs) == {"GENE03_0|GENE20_0", "GENE03_1|GENE20_1"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.where(ALTERNATING, "stimulated", "resting"), True, id="crossed"),
        pytest.param(np.where(np.isin(LABELS, ["A", "B"]), "promoter", "enhancer"), False, id="nested"),
        pytest.param(np.zeros(N), False, id="one value"),
        pytest.param(np.arange(N, dtype=float), False, id="a value a cell"),
        pytest.param(np.repeat(np.arange(N / 4), 4), False, id="many values"),
        pytest.param(pd.Categorical(ALTERNATING * 6.0), True, id="hours"),
    ],
)
def test_a_condition_is_crossed_with_the_perturbation(values: Any, expected: bool) -> None:
    assert (_found({"treatment": values}).columns.condition == "treatment") is expected


def test_the_state_of_a_cell_is_an_outcome_and_no_condition() -> None:
    assert _found({"state": ALTERNATING, "leiden": ALTERNATING}).columns.condition is None


@pytest.mark.parametrize("name", ["cell_type", "time_hr", "CellLine", "cytokine", "Treatment Group", "dose"])
def test_conditions_by_their_names(name: str) -> None:
    assert _found({name: ALTERNATING}).columns.condition == name


def test_conditions_of_two_kinds_are_not_merged_in_silence() -> None:
    kinds = {"stimulation": ALTERNATING, "time_hr": np.arange(N) // 2 % 2}
    (problem,) = _found(kinds).problems
    assert (problem.code, problem.severity) == ("several-conditions", "warning")
    assert "'time_hr'" in problem.message
    assert _found({**kinds, "time_hr": ALTERNATING}).problems == ()


@pytest.mark.parametrize(
    "name",
    [
        "batchID",
        "Batch Number",
        "experiment",
        "replicate_id",
        "gem group",
        "Library.ID",
        "orig.ident",
        "seq_run",
    ],
)
def test_batches_by_their_names(name: str) -> None:
    assert _found({name: ALTERNATING}).columns.batch == name


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param(np.full(N, 1000), True, id="full library"),
        pytest.param(np.full(N, 100), False, id="the sums of the file"),
        pytest.param(np.full(N, 105.0), False, id="hardly more"),
        pytest.param(np.where(np.arange(N) < 10, 50, 1000), False, id="fewer than the file holds"),
        pytest.param(np.where(np.arange(N) == 3, np.nan, 1000), True, id="one missing"),
        pytest.param(np.where(np.arange(N) == 3, 0, 1000), True, id="one zero"),
        pytest.param(np.where(np.arange(N) < 8, np.nan, 1000), False, id="many missing"),
        pytest.param(np.full(N, "1000"), True, id="text"),
        pytest.param(pd.Categorical(np.full(N, "1000")), True, id="categories"),
        pytest.param(np.full(N, "high"), False, id="words"),
        pytest.param(np.log1p(np.full(N, 1000.0)), False, id="logarithms"),
    ],
)
def test_a_size_factor_is_larger_than_what_the_file_holds(numbers: np.ndarray, expected: bool) -> None:
    assert (_found({"nCount_RNA": numbers}).columns.size_factor == "nCount_RNA") is expected


@pytest.mark.parametrize(
    "name", ["library_size", "UMIs", "nCount", "tscp_count", "sum", "Total UMI counts", "libSize", "n_counts"]
)
def test_size_factors_by_their_names(name: str) -> None:
    assert _found({name: np.full(N, 1000)}).columns.size_factor == name


def test_a_missing_size_factor_is_taken_from_the_counts_and_said() -> None:
    numbers = np.arange(N) + 1000.0
    numbers[7] = np.nan
    found = _found({"nCount_RNA": numbers})
    assert found.values[keys.SIZE_FACTOR].iloc[7] == pytest.approx(np.nanmedian(numbers))  # TOTALS are alike
    (note,) = found.notes
    assert "1 cell has no number above zero there" in note


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (np.where(np.arange(N) < 10, 50, 1000), "6% of the cells have fewer counts there"),
        (np.where(np.arange(N) < 8, np.nan, 1000), "5% of the cells have no number above zero there"),
        (np.full(N, "high"), "it does not hold numbers above zero"),
    ],
)
def test_a_size_factor_that_is_refused_says_why(numbers: np.ndarray, why: str) -> None:
    (note,) = _found({"nCount_RNA": numbers}).notes
    assert "'nCount_RNA' is not taken for the size factor" in note
    assert why in note
    assert _found({"n_counts": TOTALS}).notes == (), "those of the file itself are no size factor to speak of"


def test_a_given_column_wins_or_is_refused_in_words() -> None:
    columns = {"batch": ALTERNATING, "shelf": np.arange(N) % 3, "well": GUIDES, "umis": TOTALS}
    found = _found(columns, batch="shelf", size_factor="umis")
    assert (found.columns.batch, found.columns.size_factor) == ("shelf", "umis")
    assert found.problems == ()
    assert _found(columns, batch="none").columns.batch is None
    (problem,) = _found({**columns, "label": LABELS}, batch="label").problems
    assert problem.code == "design-column-unusable"
    assert "shares a value with control cells" in problem.message
    wells = _found(columns, batch="well")  # each holds one label, and labels have several
    assert (wells.columns.batch, wells.problems) == ("well", ())
    assert any("replicates" in note for note in wells.notes)
    for part in ("donor", "guide", "condition", "size_factor"):
        (problem,) = _found({**columns, "same": ["x"] * N}, **{part: "same"}).problems
        assert part in problem.message


def test_a_column_that_is_not_there_is_refused_with_near_names() -> None:
    cells = small_cells()
    cells.obs["replicate"] = np.arange(cells.n_obs) % 2
    with pytest.raises(DataError, match="Did you mean replicate") as raised:
        prepare(cells, DataSettings(batch="Replicat", control_label="LacZ"))
    codes = [problem.code for problem in raised.value.problems]
    assert codes == ["control-not-found", "design-column-missing"], "together with all other errors"
    twice = pd.DataFrame([[1, 2]], columns=["batch", "batch"])
    (problem,) = missing_columns(twice, DataSettings(batch="batch"))
    assert "several columns" in problem.message
    assert find_design(twice, LABELS[:1], TOTALS[:1], DataSettings()).columns.batch is None


def test_prepared_cells_and_their_report_carry_the_design(tmp_path: Path) -> None:
    from gpovae_core.data.schema import PreparedCells

    cells = small_cells()
    place = np.arange(cells.n_obs)
    cells.obs["lane"], cells.obs["patient"] = place % 2, place % 3
    cells.obs["guide"] = [f"{label}_{i % 2}" for i, label in enumerate(cells.obs["perturbation"])]
    cells.obs["stimulation"] = np.where(place % 4 < 2, "LPS", "PBS")
    cells.obs["n_counts"] = 10.0 * np.asarray(cells.X.sum(axis=1)).ravel()
    prepared = prepare(cells, DataSettings())
    prepared.write(tmp_path / "prepared.h5ad")
    obs = PreparedCells.read(tmp_path / "prepared.h5ad").cells.obs
    source = cells.obs.loc[obs.index]
    for key, column in {
        keys.BATCH: "lane", keys.DONOR: "patient", keys.GUIDE: "guide", keys.CONDITION: "stimulation",
    }.items():  # fmt: skip
        assert isinstance(obs[key].dtype, pd.CategoricalDtype)
        assert obs[key].astype(str).tolist() == source[column].astype(str).tolist()
    np.testing.assert_array_equal(obs[keys.SIZE_FACTOR], source["n_counts"])
    design = prepared.report.design
    assert design is not None
    assert (design.batch, design.donor, design.guide) == ("lane", "patient", "guide")
    assert (design.condition, design.size_factor) == ("stimulation", "n_counts")
    bare = prepare(small_cells(), DataSettings()).cells.obs
    assert not set(bare) & {keys.BATCH, keys.DONOR, keys.GUIDE, keys.CONDITION, keys.SIZE_FACTOR}


def test_reports_from_before_the_design_still_read() -> None:
    report = prepare(small_cells(), DataSettings()).report.model_dump(exclude={"design"})
    assert PreparationReport.model_validate(report).design is None


NOTHING = {"batch": None, "donor": None, "guide": None, "condition": None, "size_factor": None}
WORLDS = ("chains", "and-random", "kd-varied", "escape-chains", "harissa-loops")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("schraivogel2020_tapseq_k562.h5ad", {"batch": "batch", "guide": "guide"}),
        *(
            (name, {"batch": "batch", "guide": "guide", "size_factor": "total_umis_full_transcriptome"})
            for name in ("papalexi2021_thp1.h5ad", "papalexi2021_thp1_585.h5ad")
        ),
        (
            "datlinger2021_jurkat.h5ad",
            {
                "guide": "guide",
                "condition": "condition",
                "size_factor": "total_umis_full_transcriptome",
            },
        ),
        *((f"worlds/{name}_{depth}.h5ad", {}) for name in WORLDS for depth in ("few", "many")),
        *((f"worlds/{name}_many.h5ad", {"guide": "guide"}) for name in ("composition", "offtarget")),
    ],
)
def test_the_design_of_real_screens(name: str, expected: dict[str, str]) -> None:
    examination = examine(read_cells(shared_folder("data") / name), DataSettings())
    design = {part: examination.summary["design"][part] for part in NOTHING}
    assert design == NOTHING | expected
    if name.startswith("datlinger"):
        assert any("'well'" in note for note in examination.summary["notes"])


@pytest.mark.real
def test_a_table_of_effects_has_no_design() -> None:
    table = anndata.read_h5ad(shared_folder("data") / "macrophage_crispri_effects.h5ad")
    examination = examine(table, DataSettings())
    assert examination.reading is None


@pytest.mark.parametrize(
    ("part", "column"),
    [
        (keys.SIZE_FACTOR, "total_umis_full_transcriptome"),
        (keys.BATCH, "seq_batch"),
        (keys.BATCH, "Seq.Batch"),
        (keys.BATCH, "batchNumber"),
        (keys.DONOR, "donor_id"),
    ],
)
def test_spelling_does_not_make_a_name_unusual(part: str, column: str) -> None:
    assert is_usual(part, column)
    assert not is_usual(part, "height")
