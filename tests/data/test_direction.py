"""The direction of a screen: read off the targets, within batches, with an error that holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.direction import log_ratio, own_changes, read_direction
from gpovae_core.data.read import read_cells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.data.validate import examine
from tests.conftest import shared_folder
from tests.data.small import small_cells
from tests.toy import toy_simulation

GENES = [f"G{i}" for i in range(20)]
SCREENS = {
    "knock-down": [0.2] * 8,
    "knock-out": [0.8] * 5 + [1.05] * 3,
    "activation": [4.0] * 6 + [1.0] * 2,
    "mixed": [0.2] * 4 + [3.0] * 4,
}


def _screen(kept: list[float], seed: int = 0) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """(counts, labels, totals) of a screen that leaves `kept` of each target; 80 cells each, 300 controls."""
    rng = np.random.default_rng(seed)
    labels = np.array(["control"] * 300 + [gene for gene in GENES[: len(kept)] for _ in range(80)], object)
    means = np.full((len(labels), len(GENES)), 10.0) * rng.gamma(10.0, 0.1, (len(labels), 1))
    for place, share in enumerate(kept):
        means[labels == GENES[place], place] *= share
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    return counts, labels, np.asarray(counts.sum(axis=1), dtype=float).ravel()


@pytest.mark.parametrize("expected", SCREENS)
def test_the_direction_is_read_off_the_targets(expected: str) -> None:
    counts, labels, totals = _screen(SCREENS[expected])
    changes = own_changes(counts, GENES, labels, totals)
    assert read_direction(changes)[0] == expected
    truth = np.log(SCREENS[expected])
    np.testing.assert_allclose(changes["change"], truth, atol=0.3)


def test_one_target_that_rises_among_knock_downs_makes_a_screen_mixed() -> None:
    counts, labels, totals = _screen([0.2] * 7 + [3.0])
    direction, seen = read_direction(own_changes(counts, GENES, labels, totals))
    assert direction == "mixed"
    assert "7 fall clearly" in seen
    assert "1 rises (G7)" in seen


def test_without_a_measured_target_there_is_no_direction() -> None:
    counts, labels, totals = _screen([0.2] * 4)
    nothing = (None, "")
    assert read_direction(own_changes(counts, [f"X{i}" for i in range(20)], labels, totals)) == nothing
    assert read_direction(own_changes(0 * counts, GENES, labels, totals)) == nothing
    rare = pd.DataFrame({"perturbation": ["A", "B"], "change": [-0.4, 0.5], "error": [0.9, 1.4]})
    assert read_direction(rare) == nothing


def test_a_batch_that_differs_is_no_change() -> None:
    """All perturbed cells but a few in the batch that shows twice as much of the gene."""
    rng = np.random.default_rng(1)
    batch = np.repeat([0, 1, 0, 1], [200, 200, 20, 180])
    perturbed = np.repeat([False, True], [400, 200])
    totals = np.full(600, 1000.0)
    share = rng.poisson(np.where(batch == 1, 20.0, 10.0)) / totals
    rows = np.flatnonzero(perturbed), np.flatnonzero(~perturbed)
    within, error = log_ratio(share, totals, batch, *rows)
    pooled, _ = log_ratio(share, totals, np.zeros(600, dtype=int), *rows)
    assert abs(within) < 3 * error < 0.2
    assert pooled > 0.15
    alone, _ = log_ratio(share, totals, perturbed.astype(int), *rows)
    assert np.isnan(alone), "no batch has both"


def test_the_error_is_the_spread_over_repeated_screens() -> None:
    rng = np.random.default_rng(2)
    totals, batch = np.full(300, 1000.0), np.arange(300) % 2
    rows = np.arange(60), np.arange(60, 300)
    found = np.array(
        [log_ratio(rng.poisson(5.0 + 5.0 * batch) / totals, totals, batch, *rows) for _ in range(300)]
    )
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)
    assert abs(found[:, 0].mean()) < 0.02


def test_a_target_without_a_count_has_fallen_where_that_is_much() -> None:
    totals, rows = np.full(200, 100.0), (np.arange(100), np.arange(100, 200))
    for level, clear in ((1.0, True), (0.02, False)):
        share = np.where(np.arange(200) < 100, 0.0, level / 100.0)
        change, error = log_ratio(share, totals, np.zeros(200, dtype=int), *rows)
        assert change == pytest.approx(np.log(0.5 / (100 * level)))
        assert (change < -3 * error) is clear


def test_both_genes_of_a_pair_are_looked_at() -> None:
    cells = small_cells(labels=("non-targeting", "GENE03", "GENE11+GENE20"))
    reading = examine(cells, DataSettings()).reading
    assert reading is not None
    totals = np.asarray(reading.counts.sum(axis=1)).ravel()
    changes = own_changes(reading.counts, reading.genes, reading.labels.to_numpy(dtype=object), totals)
    assert list(zip(changes["perturbation"], changes["target"], strict=True)) == [
        ("GENE03", "GENE03"),
        ("GENE11+GENE20", "GENE11"),
        ("GENE11+GENE20", "GENE20"),
    ]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("schraivogel2020_tapseq_k562.h5ad", "knock-down"),
        ("papalexi2021_thp1.h5ad", "knock-out"),
        ("papalexi2021_thp1_585.h5ad", "knock-out"),
        ("datlinger2021_jurkat.h5ad", None),  # two targets measured, too shallow to tell
        ("worlds/chains_few.h5ad", "knock-down"),
        ("worlds/harissa-loops_many.h5ad", "knock-down"),
        ("worlds/escape-chains_many.h5ad", "knock-out"),
    ],
)
def test_the_direction_of_real_screens(name: str, expected: str | None) -> None:
    examination = examine(read_cells(shared_folder("data") / name), DataSettings())
    assert examination.summary["design"]["direction"] == expected


# Both directions of one gene --------------------------------------------------------------------------------


def written_in_two_ways(raised: str, lowered: str) -> AnnData:
    """Simulated cells, every second cell of one perturbation labelled the one way, the others the other."""
    cells = toy_simulation().adata.copy()
    labels = cells.obs["perturbation"].astype(str).to_numpy(dtype=object)
    gene = next(label for label in sorted(set(labels)) if label in cells.var_names)
    own = np.flatnonzero(labels == gene)
    labels[own[::2]], labels[own[1::2]] = raised.format(gene), lowered.format(gene)
    cells.obs["perturbation"] = labels
    return cells


@pytest.mark.parametrize(
    ("raised", "lowered"),
    [
        ("{}_activation", "{}_i"),
        ("{}_a", "{}_i"),
        ("{}-CRISPRa", "{}-CRISPRi"),
        ("{} OE", "{} KO"),
        ("{}_overexpression", "{}_knockdown"),
        ("{}_a", "{}_KD"),
    ],
)
def test_both_directions_of_a_gene_are_two_perturbations(raised: str, lowered: str) -> None:
    cells = written_in_two_ways(raised, lowered)
    found = examine(cells, DataSettings())
    assert found.problems == ()
    (up,) = [name for name in found.summary["perturbations"] if keys.is_raised(name)]
    gene = up.removesuffix(keys.ACTIVATED)
    assert found.reading is not None
    written = cells.obs["perturbation"].astype(str).loc[found.reading.labels.index]
    assert set(written[found.reading.labels == up]) == {raised.format(gene)}
    assert set(written[found.reading.labels == gene]) == {lowered.format(gene)}
    assert [note for note in found.summary["notes"] if "two perturbations each" in note]


def test_what_too_few_cells_show_is_no_second_direction() -> None:
    cells = written_in_two_ways("{}_CRISPRa", "{}_CRISPRi")
    few = examine(cells, DataSettings(min_cells=60)).summary["perturbations"]
    assert not [name for name in few if keys.is_raised(name)]
    lowered = cells.obs["perturbation"].astype(str).str.endswith("_CRISPRi").to_numpy()
    names = examine(cells[~lowered | (np.cumsum(lowered) < 10)].copy(), DataSettings()).summary
    assert not [name for name in names["perturbations"] if keys.is_raised(name)]


def test_a_combination_in_both_directions_is_refused() -> None:
    cells = toy_simulation().adata.copy()
    labels = cells.obs["perturbation"].astype(str).to_numpy(dtype=object)
    one, other = sorted(set(labels) - {"non-targeting"})[:2]
    own = np.flatnonzero(labels == one)
    labels[own] = f"{one}+{other}"
    cells.obs["perturbation"], cells.obs["modality"] = labels, "CRISPRi"
    cells.obs["modality"] = np.where(np.isin(np.arange(cells.n_obs), own[::2]), "CRISPRa", "CRISPRi")
    (problem,) = [one for one in examine(cells, DataSettings()).problems if one.code == "both-directions"]
    assert "1 combination is activated" in problem.message
    assert "CRISPRa in 'modality'" in problem.message


def test_guides_that_raise_are_told_from_those_that_lower() -> None:
    settings = SimulationSettings(
        genes=30, perturbations=6, cells=1500, seed=1, guides_per_gene=2, both_share=0.5
    )
    cells = simulate(settings).adata
    truth = cells.obs["perturbation"].astype(str).str.replace("_CRISPRa", keys.ACTIVATED)
    cells.obs["perturbation"] = truth.str.removesuffix(keys.ACTIVATED).str.removesuffix("_CRISPRi")
    reading = examine(cells, DataSettings()).reading
    assert reading is not None
    assert reading.design.columns.guide == "guide"
    truth = truth.str.removesuffix("_CRISPRi").replace("non-targeting", keys.CONTROL)
    assert (reading.labels == truth.loc[reading.labels.index]).all()


@pytest.mark.parametrize(
    ("one", "other"), [("{}_a", "{}_b"), ("{}_g1", "{}_g2"), ("{}_KO", "{}_KO2"), ("{}_i", "{}_j")]
)
def test_two_guides_are_one_direction(one: str, other: str) -> None:
    found = examine(written_in_two_ways(one, other), DataSettings())
    assert not [name for name in found.summary["perturbations"] if keys.is_raised(name)]


def test_a_column_that_says_the_direction_of_every_cell_is_read() -> None:
    cells = toy_simulation().adata.copy()
    cells.obs["modality"] = np.where(np.arange(cells.n_obs) % 2, "CRISPRa", "CRISPRi")
    names = examine(cells, DataSettings(min_cells=10)).summary["perturbations"]
    assert 2 * sum(map(keys.is_raised, names)) == len(names)
    labels = cells.obs["perturbation"].astype(str)
    raised = labels.isin(sorted(set(labels))[:3])  # each gene in one direction
    cells.obs["modality"] = np.where(labels == "non-targeting", "control", np.where(raised, "CRISPRa", "KO"))
    codes = {problem.code for problem in examine(cells, DataSettings()).problems}
    assert codes == {"direction-contradicted"}, "all of them fall"


# What the file states ---------------------------------------------------------------------------------------


def _stating(kinds: dict[str, str], column: str = "perturbation_type") -> AnnData:
    cells = toy_simulation().adata.copy()
    labels = cells.obs["perturbation"].astype(str)
    cells.obs[column] = labels.map(kinds).fillna("control")
    return cells


def test_what_a_column_states_is_kept_perturbation_by_perturbation() -> None:
    genes = sorted(set(toy_simulation().adata.obs["perturbation"].astype(str)) - {"non-targeting"})
    kinds = dict.fromkeys(genes, "CRISPRi") | {genes[0]: "CRISPRa"}
    for column in ("perturbation_type", "modality"):
        found = examine(_stating(kinds, column), DataSettings())
        assert found.summary["design"]["direction"] == "mixed"
        assert found.summary["directions"]["where"] == f"obs['{column}']"
        stated = found.summary["directions"]["stated"]
        assert stated == dict.fromkeys(genes, "knock-down") | {genes[0]: "activation"}
        (problem,) = [one for one in found.problems if one.code == "direction-contradicted"]
        assert genes[0] in problem.message, "its mRNA falls"
        assert "(1 of" in problem.message


def test_what_is_stated_of_some_leaves_the_others_to_their_expression() -> None:
    genes = sorted(set(toy_simulation().adata.obs["perturbation"].astype(str)) - {"non-targeting"})
    found = examine(_stating(dict.fromkeys(genes[:2], "CRISPRn")), DataSettings()).summary
    assert found["directions"]["stated"] == dict.fromkeys(genes[:2], "knock-out")
    assert found["directions"]["silent"] == len(genes) - 2


def test_labels_state_what_was_done() -> None:
    cells = toy_simulation().adata.copy()
    labels = cells.obs["perturbation"].astype(str)
    cells.obs["perturbation"] = np.where(labels == "non-targeting", labels, labels + "_KO")
    found = examine(cells, DataSettings()).summary
    assert found["design"]["direction"] == "knock-out"
    assert found["directions"]["where"] == "the labels in 'perturbation'"
    assert set(found["directions"]["stated"].values()) == {"knock-out"}
