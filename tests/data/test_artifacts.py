from __future__ import annotations

import warnings
from concurrent.futures import BrokenExecutor

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import ARTIFACT_CRITERIA, DataSettings
from gpovae_core.data import artifacts, cores
from gpovae_core.data.artifacts import (
    DOUBLET,
    GENES_DETECTED,
    HAEMOGLOBIN,
    MITOCHONDRIAL,
    RIBOSOMAL,
    UMI_COUNT,
    WHOLE_TRANSCRIPTOME,
    Artifacts,
    artifact_labels,
    class_genes,
    doublet_groups,
    judge,
    mad_cutoff,
    outliers,
)
from gpovae_core.data.design.find import Design
from gpovae_core.data.read import read_cells
from gpovae_core.data.schema import DesignColumns
from gpovae_core.data.validate import examine
from gpovae_core.errors import GpoVaeError
from tests.conftest import shared_folder

NO_DOUBLETS = DataSettings(detect_doublets=False)


@pytest.mark.parametrize("mads", [3, 5])
def test_cutoffs_and_labels_are_those_of_the_release(mads: int) -> None:
    known = np.load(shared_folder("fixtures") / "qc_labels.npz")
    columns = ("UMI_count", "ngenes", "pct_counts_mt", "pct_counts_ribo", "pct_counts_hb")
    for i, (column, direction) in enumerate(
        zip(columns, ("below", "below", "above", "above", "above"), strict=True)
    ):
        cutoff = mad_cutoff(known[column], mads, direction)
        assert cutoff == pytest.approx(known[f"thresholds_thr{mads}"][i], rel=1e-12)
        np.testing.assert_array_equal(
            outliers(known[column], cutoff, direction), known[f"labels_thr{mads}"][:, i]
        )


def test_the_cutoff_by_hand() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])  # median 3, absolute deviations 2 1 0 1 97, MAD 1
    assert mad_cutoff(values, 3.0, "above") == 6.0
    assert mad_cutoff(values, 3.0, "below") == 0.0
    assert outliers(values, 4.0, "above").tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("criterion", "members", "strangers"),
    [
        (MITOCHONDRIAL, ["MT-ND1", "MT-ATP8", "mt-Co1"], ["MT1X", "MTOR", "AMT-1"]),
        (
            RIBOSOMAL,
            [
                "RPL30",
                "RPS6",
                "RPLP0",
                "RPSA",
                "RPS4X",
                "RPS4Y1",
                "RPL36AL",
                "RPS27L",
                "RPL22L1",
                "RPL13A",
                "Rps3a1",
            ],
            ["RPS6KA1", "RPS6KB2", "RPS6KL1", "RPS19BP1", "RPL23P8", "RPP30", "RPLD"],
        ),
        (
            HAEMOGLOBIN,
            ["HBA1", "HBA2", "HBB", "HBD", "HBE1", "HBG1", "HBG2", "HBM", "HBQ1", "HBZ", "Hba-a1", "Hbb-bs"],
            ["HBP1", "HBEGF", "HBS1L", "HBBP1", "HBZP1"],
        ),
    ],
)
def test_gene_classes(criterion: str, members: list[str], strangers: list[str]) -> None:
    assert class_genes([*members, *strangers], criterion).tolist() == [True] * len(members) + [False] * len(
        strangers
    )


def _transcriptome(n: int = 200, seed: int = 0) -> tuple[sparse.csr_matrix, list[str]]:
    genes = [
        "MT-ND1",
        "MT-CO1",
        "RPL3",
        "RPS6",
        "HBB",
        "HBA1",
        *(f"G{i}" for i in range(WHOLE_TRANSCRIPTOME)),
    ]
    rng = np.random.default_rng(seed)
    counts = rng.poisson(2.0, (n, len(genes)))
    counts[:, 4:6] = 0
    return sparse.csr_matrix(counts.astype(np.float32)), genes


def _labels(
    counts: sparse.csr_matrix, genes: list[str], settings: DataSettings = NO_DOUBLETS, **obs: np.ndarray
) -> Artifacts:
    """All cells are controls."""
    frame = pd.DataFrame(obs, index=[f"c{i}" for i in range(counts.shape[0])])
    return artifact_labels(counts, genes, frame, np.full(len(frame), keys.CONTROL), settings)


def _damaged(column: int, value: float) -> tuple[sparse.csr_matrix, list[str]]:
    counts, genes = _transcriptome()
    dense = counts.toarray()
    dense[7, column] = value
    return sparse.csr_matrix(dense), genes


@pytest.mark.parametrize(("column", "criterion"), [(0, MITOCHONDRIAL), (3, RIBOSOMAL), (4, HAEMOGLOBIN)])
def test_a_damaged_cell_fails_its_criterion(column: int, criterion: str) -> None:
    result = _labels(*_damaged(column, 500))
    assert result.by_criterion[criterion].iloc[7]
    assert result.failed[7]


def test_an_empty_looking_cell_fails_both_counts() -> None:
    counts, genes = _transcriptome()
    dense = counts.toarray()
    dense[9, 30:] = 0
    result = _labels(sparse.csr_matrix(dense), genes)
    assert result.by_criterion.loc["c9", [UMI_COUNT, GENES_DETECTED]].all()


def test_a_cell_fails_when_any_criterion_does_and_the_report_counts_them() -> None:
    result = _labels(*_damaged(0, 500))
    np.testing.assert_array_equal(result.failed, result.by_criterion.any(axis=1))
    assert [criterion.name for criterion in result.criteria] == list(ARTIFACT_CRITERIA)
    for criterion in result.criteria:
        if criterion.used:
            assert criterion.failing == result.by_criterion[criterion.name].sum()


def test_percentages_agree_with_scanpy() -> None:
    counts, genes = _transcriptome()
    cells = AnnData(counts.copy(), var=pd.DataFrame(index=genes))
    cells.var["mt"] = cells.var_names.str.startswith("MT-")
    sc.pp.calculate_qc_metrics(cells, qc_vars=["mt"], percent_top=None, inplace=True)
    percent = cells.obs["pct_counts_mt"].to_numpy()
    (criterion,) = [c for c in _labels(counts, genes).criteria if c.name == MITOCHONDRIAL]
    assert criterion.cutoff == pytest.approx(mad_cutoff(percent, 3.0, "above"), rel=1e-5)


def test_equal_values_are_explained() -> None:
    (criterion,) = [c for c in _labels(*_damaged(4, 1)).criteria if c.name == HAEMOGLOBIN]
    assert criterion.used
    assert criterion.cutoff == 0.0
    assert criterion.failing == 1
    assert "every cell with any fails" in criterion.note


def test_a_criterion_without_any_spread_does_not_judge_an_ordinary_part_of_the_cells() -> None:
    """Every eighth cell has a ribosomal count, the others none: that is no damage."""
    counts, genes = _transcriptome()
    n = counts.shape[0]
    keep = [i for i, gene in enumerate(genes) if not gene.startswith("RP")]
    some = np.where(np.arange(n) % 8 == 0, 0.5, 0.0)
    result = _labels(counts[:, keep], [genes[i] for i in keep], p_ribo=some)
    (criterion,) = [one for one in result.criteria if one.name == RIBOSOMAL]
    assert not criterion.used
    assert "same value" in criterion.note


def test_counts_of_a_targeted_panel_are_judged_where_that_is_asked_for() -> None:
    counts, genes = _transcriptome()
    few = counts[:, :100]
    for asked in (False, True):
        settings = NO_DOUBLETS.model_copy(update={"judge_targeted_counts": asked})
        result = _labels(few, genes[:100], settings)
        used = {one.name for one in result.criteria if one.used}
        assert ({UMI_COUNT, GENES_DETECTED} <= used) == asked


def test_missing_genes_skip_a_criterion_with_a_note() -> None:
    counts, genes = _transcriptome()
    result = _labels(counts[:, 6:], genes[6:])
    skipped = {criterion.name: criterion.note for criterion in result.criteria if not criterion.used}
    assert set(skipped) == {MITOCHONDRIAL, RIBOSOMAL, HAEMOGLOBIN, DOUBLET}
    assert "no mitochondrial genes" in skipped[MITOCHONDRIAL]
    assert "switched off" in skipped[DOUBLET]


def test_chosen_genes_do_not_show_quality() -> None:
    """Haemoglobin genes that were put on a panel as readout are expressed on purpose."""
    counts, genes = _transcriptome()
    result = _labels(counts[:, :30], genes[:30])
    notes = {criterion.name: criterion.note for criterion in result.criteria if not criterion.used}
    assert "HBB, HBA1" in notes[HAEMOGLOBIN]


@pytest.mark.parametrize(
    ("column", "factor"), [("p_mito", 0.01), ("pct_counts_mt", 1.0), ("percent.mt", 1.0)]
)
def test_percentages_of_the_whole_transcriptome_are_taken_from_obs(column: str, factor: float) -> None:
    counts, genes = _transcriptome()
    percent = np.random.default_rng(0).uniform(2.0, 4.0, counts.shape[0])
    percent[3] = 60.0
    result = _labels(counts[:, 6:40], genes[6:40], **{column: percent * factor})
    (criterion,) = [c for c in result.criteria if c.name == MITOCHONDRIAL]
    assert result.by_criterion[MITOCHONDRIAL].to_numpy().nonzero()[0].tolist() == [3]
    assert f"'{column}'" in criterion.note
    assert criterion.cutoff == pytest.approx(mad_cutoff(percent, 3.0, "above"))


def _screen(factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values, labels, poor): 600 controls and 300 cells each of A, whose library is multiplied by `factor`,
    and B; every 20th cell of each is poor and holds a tenth.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array([keys.CONTROL, "A", "B"], dtype=object), [600, 300, 300])
    poor = np.arange(len(labels)) % 20 == 0
    values = rng.normal(3000.0, 300.0, len(labels)) * np.where(poor, 0.1, 1.0)
    return np.where(labels == "A", factor, 1.0) * values, labels, poor


@pytest.mark.parametrize("factor", [1 / 3, 1.0, 3.0])
def test_what_a_perturbation_does_to_all_its_cells_does_not_count_against_them(factor: float) -> None:
    values, labels, poor = _screen(factor)
    judged = judge(values, labels, np.zeros(len(labels), dtype=int), 3.0, "below", ratios=True)
    for label in ("A", "B", keys.CONTROL):
        here = labels == label
        assert judged.failing[here & poor].all(), "poor cells are found, whatever the perturbation does"
        assert judged.failing[here & ~poor].mean() < 0.05
    percent = np.random.default_rng(1).normal(4.0 * factor, 0.3, len(labels)) + np.where(poor, 5.0, 0.0)
    percent[labels != "A"] += 4.0 - 4.0 * factor
    judged = judge(percent, labels, np.zeros(len(labels), dtype=int), 3.0, "above", ratios=False)
    for label in ("A", "B", keys.CONTROL):
        here = labels == label
        assert judged.failing[here & poor].all()
        assert judged.failing[here & ~poor].mean() < 0.05


def test_controls_give_the_cut_off_and_nothing_is_taken_out_of_them() -> None:
    values, labels, _ = _screen(1 / 3)
    control = labels == keys.CONTROL
    judged = judge(values, labels, np.zeros(len(labels), dtype=int), 3.0, "below", ratios=True)
    cutoff = mad_cutoff(values[control], 3.0, "below")
    assert judged.cutoffs.tolist() == [cutoff]
    np.testing.assert_array_equal(judged.failing[control], values[control] < cutoff)
    np.testing.assert_array_equal(judged.reference, control)


def test_every_batch_has_its_cut_off_and_those_with_few_controls_that_of_all() -> None:
    values, labels, poor = _screen(1.0)
    batch = np.arange(len(labels)) // 5 % 2
    values = values * np.where(batch == 1, 0.2, 1.0)
    judged = judge(values, labels, batch, 3.0, "below", ratios=True)
    control = labels == keys.CONTROL
    for code in (0, 1):
        own = mad_cutoff(values[control & (batch == code)], 3.0, "below")
        assert judged.cutoffs[code] == own
    assert judged.failing[poor].all()
    assert judged.failing[~poor].mean() < 0.05
    few = np.where(control & (np.arange(len(labels)) >= 40), 0, 1)  # 40 controls in batch 1
    judged = judge(values, labels, few, 3.0, "below", ratios=True)
    assert judged.cutoffs[1] == mad_cutoff(values[control], 3.0, "below")


def test_without_controls_the_cut_off_is_that_of_all_cells() -> None:
    values, labels, _ = _screen(1.0)
    labels = np.where(np.arange(len(labels)) < 30, labels, "B")
    judged = judge(values, labels, np.zeros(len(labels), dtype=int), 3.0, "below", ratios=True)
    assert judged.cutoffs.tolist() == [mad_cutoff(values, 3.0, "below")]


def test_a_perturbation_with_few_cells_in_a_batch_is_judged_by_all_its_cells() -> None:
    """Three low cells of A in a batch of their own are poor: the other cells of A say so."""
    values, labels, _ = _screen(1.0)
    rows = np.flatnonzero(labels == "A")
    batch = np.zeros(len(labels), dtype=int)
    batch[rows[1:4]], values[rows[1:4]] = 1, 100.0
    judged = judge(values, labels, batch, 3.0, "below", ratios=True)
    assert judged.failing[rows[1:4]].all()


def test_a_screen_whose_perturbation_divides_the_library_by_three() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat(np.array([keys.CONTROL, "A", "B"], dtype=object), [300, 150, 150])
    depth = rng.gamma(25.0, 0.04, len(labels)) * np.where(labels == "A", 1 / 3, 1.0)
    means = np.outer(depth, rng.gamma(0.5, 4.0, WHOLE_TRANSCRIPTOME + 200))
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    frame = pd.DataFrame(index=[f"c{i}" for i in range(len(labels))])
    genes = [f"G{i}" for i in range(counts.shape[1])]
    found = artifact_labels(counts, genes, frame, labels, NO_DOUBLETS)
    lost = {label: found.failed[labels == label].mean() for label in (keys.CONTROL, "A", "B")}
    assert 0 < lost[keys.CONTROL] < 0.1
    assert max(lost["A"], lost["B"]) <= 2 * lost[keys.CONTROL]
    totals = np.asarray(counts.sum(axis=1)).ravel()
    naive = totals < mad_cutoff(totals[labels == keys.CONTROL], 3.0, "below")
    assert naive[labels == "A"].mean() > 0.9, "cut-offs alone would have taken nearly all of it"


def test_on_a_panel_counts_are_judged_over_the_whole_transcriptome_or_not_at_all() -> None:
    counts, genes = _transcriptome()
    few, names = counts[:, 6:40], genes[6:40]
    frame = pd.DataFrame(index=[f"c{i}" for i in range(counts.shape[0])])
    control = np.full(len(frame), keys.CONTROL)
    found = artifact_labels(few, names, frame, control, NO_DOUBLETS)
    assert not any(criterion.used for criterion in found.criteria)
    assert "size_factor" in found.criteria[0].note
    library = np.full(len(frame), 4000.0) + np.arange(len(frame))
    library[3] = 50.0
    design = Design(
        DesignColumns(size_factor="n_counts"),
        {keys.SIZE_FACTOR: pd.Series(library, index=frame.index)},
    )
    found = artifact_labels(few, names, frame, control, NO_DOUBLETS, design)
    assert [criterion.name for criterion in found.criteria if criterion.used] == [UMI_COUNT]
    assert found.failed.nonzero()[0].tolist() == [3]
    assert "'n_counts'" in found.criteria[0].note


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "schraivogel2020_tapseq_k562",
        "papalexi2021_thp1",
        "papalexi2021_thp1_585",
        "datlinger2021_jurkat",
        *(
            f"worlds/{world}_{depth}"
            for world in ("chains", "and-random", "kd-varied", "escape-chains", "harissa-loops")
            for depth in ("few", "many")
        ),
        "worlds/composition_many",
        "worlds/offtarget_many",
    ],
)
def test_no_perturbation_loses_more_than_twice_the_share_of_the_controls(name: str) -> None:
    reading = examine(read_cells(shared_folder("data") / f"{name}.h5ad"), DataSettings()).reading
    assert reading is not None
    labels = reading.labels.to_numpy(dtype=object)
    found = artifact_labels(
        reading.counts, reading.genes, reading.obs, labels, DataSettings(), reading.design
    )
    lost = pd.Series(found.failed).groupby(labels).mean()
    assert lost.max() <= 2 * lost[keys.CONTROL]


def test_a_criterion_that_is_switched_off_is_not_lost() -> None:
    result = _labels(*_damaged(0, 500), settings=DataSettings(artifact_criteria=(UMI_COUNT,)))
    assert list(result.by_criterion) == [UMI_COUNT]
    assert not result.failed[7]
    assert sum(not criterion.used for criterion in result.criteria) == 5


def test_no_criterion_at_all_fails_no_cell() -> None:
    result = _labels(*_damaged(0, 500), settings=DataSettings(artifact_criteria=()))
    assert not result.failed.any()
    assert result.failed.shape == (200,)


def test_scrublet_failing_is_said_and_no_cell_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
        raise ValueError("n_components=30 must be smaller")

    monkeypatch.setattr(artifacts, "predict_doublets", give_up)
    criterion = _labels(*_transcriptome(), settings=DataSettings()).criteria[-1]
    assert not criterion.used
    assert "n_components=30" in criterion.note


@pytest.mark.parametrize("why", [MemoryError(), BrokenExecutor("terminated")])
def test_doublets_are_not_left_out_where_only_this_machine_fails(
    monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def ends(counts: sparse.csr_matrix, seed: int) -> np.ndarray:
        raise why

    monkeypatch.setattr(artifacts, "predict_doublets", ends)
    with pytest.raises(GpoVaeError, match="out of memory"):
        _labels(*_transcriptome(), settings=DataSettings())


def test_scrublet_finds_mixed_cells_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    profiles = rng.gamma(0.3, 3.0, (4, 1100))
    first = rng.integers(0, 4, 30)
    second = (first + rng.integers(1, 4, 30)) % 4
    single = rng.poisson(profiles[rng.integers(0, 4, 400)])
    counts = sparse.csr_matrix(
        np.vstack([single, rng.poisson(profiles[first] + profiles[second])]).astype(np.float32)
    )
    found = artifacts.predict_doublets(counts, seed=0)
    assert found[400:].mean() > 0.8
    assert found[:400].mean() < 0.05
    np.testing.assert_array_equal(found, artifacts.predict_doublets(counts, seed=0))


def test_doublets_are_those_of_scanpy_called_as_a_whole() -> None:
    """Also of a gene that too few cells show, and of a cell without counts, which is never called."""
    rng = np.random.default_rng(0)
    states = rng.lognormal(0, 0.6, (4, 1500))[rng.integers(4, size=600)]
    mean = states * rng.lognormal(-1, 1.2, 1500) * rng.lognormal(0, 0.4, (600, 1))
    mean[:40] += mean[40:80]
    counts = rng.poisson(mean).astype(np.float32)
    counts[50], counts[:, 7], counts[60, 7] = 0, 0, 3
    whole = AnnData(sparse.csr_matrix(counts))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.scrublet(whole, random_state=3, use_approx_neighbors=False, verbose=False)
    want = whole.obs["predicted_doublet"].fillna(False).to_numpy(dtype=bool)
    assert want.sum() > 10
    np.testing.assert_array_equal(artifacts.predict_doublets(sparse.csr_matrix(counts), seed=3), want)


def test_doublets_are_looked_for_within_batches_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "LARGEST_DOUBLET_GROUP", 30)
    batch = pd.Series(["a"] * 70 + ["b"] * 20)
    groups = doublet_groups(90, batch, seed=0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(90))
    assert max(map(len, groups)) <= 30
    assert all(batch.iloc[rows].nunique() == 1 for rows in groups)


@pytest.mark.slow
def test_doublets_are_the_same_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    state = rng.lognormal(0, 1.0, (3, 1200))[rng.integers(3, size=400)]
    counts = sparse.csr_matrix(rng.poisson(state).astype(np.float32))
    genes = [f"G{k}" for k in range(1200)]
    obs = pd.DataFrame(index=[f"c{k}" for k in range(400)])
    labels = np.full(400, keys.CONTROL, dtype=object)
    monkeypatch.setattr(artifacts, "LARGEST_DOUBLET_GROUP", 200)
    found = []
    for jobs in ("1", "2"):
        monkeypatch.setenv(cores.JOBS, jobs)
        settings = DataSettings(artifact_criteria=(ARTIFACT_CRITERIA[-1],))
        found.append(artifacts.artifact_labels(counts, genes, obs, labels, settings))
    assert found[0].criteria == found[1].criteria
    assert found[0].criteria[-1].used
    np.testing.assert_array_equal(found[0].failed, found[1].failed)
