"""Effects within the design of a screen: batches, guides, sizes of cells; against sums written out, and by
what each is there for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from anndata import read_h5ad
from scipy import sparse, stats
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.agreement import excess
from gpovae_core.effects.contrasts import Contrasts, contrasts, guide_contrasts, null_contrasts
from gpovae_core.effects.design import Design
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import fit_network
from tests.conftest import shared_folder
from tests.effects.test_contrasts import build, dense_shares, overdispersed, screen


def with_columns(prepared: PreparedCells, **columns: np.ndarray) -> PreparedCells:
    cells = prepared.cells.copy()
    for name, values in columns.items():
        cells.obs[name] = values
    return PreparedCells(cells, prepared.panel, prepared.report)


def confounded(spread: float, seed: int = 0) -> PreparedCells:
    """No effects; A and B come from batch 1, C from batch 2, controls from both; genes differ by batch."""
    rng = np.random.default_rng(seed)
    names = [f"G{i:02d}" for i in range(30)] + ["A", "B", "C"]
    labels = np.repeat(np.array([keys.CONTROL, "A", "B", "C"], dtype=object), [600, 150, 150, 150])
    batch = np.where(labels == "C", "2", "1").astype(object)
    batch[:600:2] = "2"
    mean = np.tile(rng.gamma(3.0, 10.0, len(names)), (len(labels), 1))
    mean[batch == "2"] *= rng.lognormal(0.0, spread, len(names))
    prepared = build(overdispersed(mean, rng), labels, names, ("A", "B", "C"))
    return with_columns(prepared, batch=batch)


def test_one_batch_is_no_batch() -> None:
    plain = screen(fold={("A", "E"): 0.4})
    one = with_columns(plain, batch=np.full(plain.cells.n_obs, "x", dtype=object))
    for name in ("effect", "error", "shift", "counts", "control_share"):
        np.testing.assert_array_equal(getattr(contrasts(plain), name), getattr(contrasts(one), name))


def test_means_are_weighted_over_strata_as_mantel_and_haenszel_do() -> None:
    prepared = confounded(0.3)
    batch = np.asarray(prepared.cells.obs["batch"], dtype=object)
    batch[np.flatnonzero(prepared.labels == "A")[:50]] = "2"
    prepared = with_columns(prepared, batch=batch)
    observed = contrasts(prepared)
    shares = dense_shares(prepared)
    top, bottom = np.zeros(shares.shape[1]), np.zeros(shares.shape[1])
    for value in ("1", "2"):  # sum of x_b m_b / N_b over sum of y_b n_b / N_b: the common ratio
        mine = shares[(prepared.labels == "A") & (batch == value)]
        other = shares[(prepared.labels == keys.CONTROL) & (batch == value)]
        together = len(mine) + len(other)
        top += mine.sum(axis=0) * len(other) / together
        bottom += other.sum(axis=0) * len(mine) / together
    ratio = np.log(top / bottom)
    found = observed.effect[0][prepared.panel.is_measured]
    shift = found - ratio  # the lift, the same for all genes
    assert np.ptp(np.delete(shift, prepared.panel.index["A"])) < 2e-3
    assert observed.counts[0].tolist() == [100, 50]


@pytest.mark.parametrize("spread", [0.2, 0.4])
def test_a_batch_is_no_effect(spread: float) -> None:
    prepared = confounded(spread)
    within, blind = contrasts(prepared), contrasts(with_columns(prepared, batch=np.full(1050, "1")))
    z = {name: (found.effect / found.error)[found.counted] for name, found in (("in", within), ("no", blind))}
    assert (np.abs(z["no"]) > 4).mean() > 0.03
    assert (np.abs(z["in"]) > 4).sum() == 0
    assert np.std(z["in"]) == pytest.approx(1.0, abs=0.2)


def test_a_perturbation_without_controls_in_its_batch_is_named_and_says_nothing() -> None:
    prepared = confounded(0.1)
    batch = np.where(prepared.labels == "C", "3", np.asarray(prepared.cells.obs["batch"], dtype=object))
    observed = contrasts(with_columns(prepared, batch=batch))
    assert observed.alone == ("C",)
    assert [prepared.panel.genes[i] for i in observed.sources] == ["A", "B"]


def test_batch_and_donor_are_crossed_unless_that_leaves_cells_alone() -> None:
    prepared = confounded(0.1)
    donor = np.where(np.arange(1050) % 3 == 0, "x", "y").astype(object)
    crossed = Design.of(with_columns(prepared, donor=donor))
    assert len(set(crossed.stratum.tolist())) == 4
    donor[prepared.labels == keys.CONTROL] = "z"  # no donor has both
    assert len(set(Design.of(with_columns(prepared, donor=donor)).stratum.tolist())) == 2


def guides(off_target: bool, seed: int = 1) -> PreparedCells:
    """A lowers E by every guide; one of its three guides also triples F."""
    rng = np.random.default_rng(seed)
    prepared = screen(seed, per_label=240, controls=900, fold={("A", "E"): 0.4})
    guide = np.array(
        [f"{label}-{i}" for label, i in zip(prepared.labels, rng.integers(0, 3, 1620), strict=True)]
    )
    counts = prepared.counts.toarray()
    if off_target:
        counts[guide == "A-2", 5] *= 3
    cells = prepared.cells.copy()
    cells.X = sparse.csr_matrix(counts)
    cells.obs[keys.LIBRARY_SIZE] = counts.sum(axis=1)
    cells.obs[keys.GUIDE] = guide
    return PreparedCells(cells, prepared.panel, prepared.report)


def test_what_one_guide_of_three_shows_is_no_effect_of_the_gene() -> None:
    prepared = guides(off_target=True)
    without = PreparedCells(prepared.cells.copy(), prepared.panel, prepared.report)
    del without.cells.obs[keys.GUIDE]
    found, blind = contrasts(prepared), contrasts(without)
    of, to = 0, prepared.panel.index["F"]
    assert blind.effect[of, to] / blind.error[of, to] > 5
    assert found.effect[of, to] / found.error[of, to] < 3.5
    common = prepared.panel.index["E"]
    assert found.effect[of, common] / found.error[of, common] < -8
    np.testing.assert_allclose(found.effect, blind.effect, atol=5e-3)


def test_the_part_of_the_guides_is_a_moderated_analysis_of_variance() -> None:
    """Near no effect the error is the first-order one, so its square times the squared mean is the variance
    of a mean of guides: between them plus within them.
    """
    prepared = guides(off_target=False, seed=4)
    shares, labels = dense_shares(prepared), prepared.labels
    guide = np.asarray(prepared.cells.obs[keys.GUIDE], dtype=object)
    without = PreparedCells(prepared.cells.copy(), prepared.panel, prepared.report)
    del without.cells.obs[keys.GUIDE]
    found, blind = contrasts(prepared), contrasts(without)
    ratio, factor = [], []
    for label in ("A", "B", "C"):
        own = shares[labels == label]
        parts = [shares[guide == f"{label}-{i}"] for i in range(3)]
        sizes = np.array([len(part) for part in parts], dtype=float)
        means = np.stack([part.mean(axis=0) for part in parts])
        square = (sizes[:, None] * (means - own.mean(axis=0)) ** 2).sum(axis=0) / 2
        typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / 2
        ratio.append(square / own.var(axis=0, ddof=1))
        factor.append(own.var(axis=0, ddof=1) / typical * (sizes**2).sum() / sizes.sum() ** 2)
    beyond = excess(np.stack(ratio), np.full(3, 2.0), np.ones((3, shares.shape[1]), dtype=bool))
    own, extra = shares[labels == "B"], beyond[1] * factor[1]
    gained = (found.error[1] ** 2 - blind.error[1] ** 2) * own.mean(axis=0) ** 2
    near = (np.abs(blind.effect[1]) < 0.1) & (extra > 0.2 * own.var(axis=0, ddof=1) / len(own))
    assert near.sum() >= 2
    np.testing.assert_allclose(gained[near], extra[near], rtol=0.35)


def test_cells_with_fewer_counts_are_thought_to_scatter_more() -> None:
    """A perturbation that leaves a cell a third of its counts: z of unmoved genes stays normal."""
    z = {}
    for aware in (True, False):
        values = []
        for seed in range(6):
            rng = np.random.default_rng(seed)
            labels = np.repeat(np.array([keys.CONTROL, "A"], dtype=object), [900, 100])
            names = [f"G{i:02d}" for i in range(60)] + ["A"]
            mean = np.tile(rng.gamma(3.0, 1.0, len(names)), (1000, 1))
            mean[labels == "A"] /= 3
            prepared = build(rng.poisson(mean), labels, names, ("A",))
            if not aware:  # the pooled variance, which is the controls'
                from gpovae_core.effects import contrasts as module

                compared = module.log_fold_change
                module.log_fold_change = lambda t, c, p: compared(  # noqa: B023
                    replace(t, scatter=None), replace(c, scatter=None), p
                )
            found = contrasts(prepared)
            if not aware:
                module.log_fold_change = compared
            values.append((found.effect / found.error)[found.counted])
        z[aware] = float(np.std(np.concatenate(values)))
    assert z[True] == pytest.approx(1.0, abs=0.1)
    assert z[False] > 1.4


def test_the_null_draws_controls_of_the_same_batches() -> None:
    prepared = confounded(0.5)
    observed = contrasts(prepared)
    for null in null_contrasts(prepared, observed, 3, 0):
        assert null.counts.tolist() == [[150, 0], [150, 0], [0, 150]]
        assert (np.abs(null.effect / null.error)[null.counted] < 4.5).all()


def test_shares_of_the_whole_transcriptome_know_no_lift() -> None:
    prepared = screen(fold={("A", "E"): 0.1, ("A", "F"): 0.1, ("A", "G"): 0.1, ("A", "H"): 0.1})
    rng = np.random.default_rng(0)
    whole = prepared.library_size[rng.permutation(prepared.cells.n_obs)] * 20
    found = contrasts(with_columns(prepared, size_factor=whole))
    assert (found.shift == 0).all()


# Control guides as a null -----------------------------------------------------------------------------------


def guided(spread: float, control_guides: int, seed: int = 0) -> PreparedCells:
    """No effects: 20 perturbations of one guide each, controls of several guides; every guide changes every
    gene a little in a way of its own.
    """
    rng = np.random.default_rng(seed)
    perturbed = tuple(f"P{i:02d}" for i in range(20))
    names = [f"G{i:02d}" for i in range(40)] + list(perturbed)
    sizes = [100] * control_guides + [60] * 20
    guide = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.repeat(np.array([keys.CONTROL] * control_guides + list(perturbed), dtype=object), sizes)
    own = rng.lognormal(0.0, spread, (len(sizes), len(names)))
    mean = rng.gamma(3.0, 10.0, len(names)) * own[guide]
    prepared = build(overdispersed(mean, rng), labels, names, perturbed)
    return with_columns(prepared, guide=np.array([f"g{i}" for i in guide], dtype=object))


def spread_of(found: list[Contrasts]) -> float:
    return float(np.std(np.concatenate([(one.effect / one.error)[one.counted] for one in found])))


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_control_guides_show_what_guides_do_by_themselves(spread: float) -> None:
    """z of perturbations that do nothing: as of control guides, wider than of controls at random."""
    prepared = guided(spread, 10)
    observed = contrasts(prepared)
    by_cells = spread_of(list(null_contrasts(prepared, observed, 4, 0)))
    by_guides = spread_of(list(guide_contrasts(prepared, observed, 4, 0)))
    assert by_cells == pytest.approx(1.0, abs=0.1)
    assert by_guides == pytest.approx(spread_of([observed]), rel=0.15)
    assert (by_guides > 1.4 * by_cells) == (spread > 0)


def test_fewer_than_six_control_guides_or_tiny_ones_are_no_null() -> None:
    prepared = guided(0.2, 5)
    assert list(guide_contrasts(prepared, contrasts(prepared), 2, 0)) == []
    prepared = guided(0.2, 8)
    few = np.asarray(prepared.cells.obs["guide"], dtype=object)
    few[(few == "g0") | (few == "g1") | (few == "g2")] = [f"tiny{i}" for i in range(300)]
    prepared = with_columns(prepared, guide=few)
    assert list(guide_contrasts(prepared, contrasts(prepared), 2, 0)) == []
    plain = guided(0.2, 8)
    del plain.cells.obs["guide"]
    assert list(guide_contrasts(plain, contrasts(plain), 2, 0)) == []


def test_control_guides_come_in_the_strata_and_with_the_cells_of_the_perturbation() -> None:
    prepared = guided(0.0, 8)
    batch = np.where(np.arange(prepared.cells.n_obs) % 2, "1", "2").astype(object)
    batch[prepared.labels == "P00"] = "1"
    prepared = with_columns(prepared, batch=batch)
    observed = contrasts(prepared)
    for null in guide_contrasts(prepared, observed, 2, 0):
        assert null.counts[0].tolist()[1] == 0
        assert (null.counts <= observed.counts).all()
        assert np.isfinite(null.error[null.counted]).all()
        np.testing.assert_array_equal(null.sources, observed.sources)
    again = list(guide_contrasts(prepared, observed, 2, 0))
    np.testing.assert_array_equal(again[1].effect, list(guide_contrasts(prepared, observed, 2, 0))[1].effect)


def test_the_rate_of_false_edges_knows_the_larger_of_both_nulls() -> None:
    """Edges out of perturbations that do nothing but what their one guide does: all are false."""
    settings = make_settings("evidence", {})
    prepared = guided(0.2, 10)
    told = fit_network(prepared, settings)
    without = prepared.cells.copy()
    without.obs["guide"] = np.where(prepared.labels == keys.CONTROL, "c", without.obs["guide"].astype(str))
    blind = fit_network(PreparedCells(without, prepared.panel, prepared.report), settings)
    np.testing.assert_array_equal(told.log_odds, blind.log_odds)
    weights = expit(told.log_odds)
    edges = ((weights > 0.5) & np.isfinite(told.evidence)).sum()
    assert edges > 10
    rate, unknowing = (false_edge_rate(fit, weights, 0.5)[0] for fit in (told, blind))
    assert unknowing < 0.2 < 0.4 < rate
    assert (told.null_share >= blind.null_share).all()


# Wells that hold one guide each -----------------------------------------------------------------------------


def in_wells(spread: float, seed: int = 0) -> PreparedCells:
    """No effects: A, B, C and controls in wells of their own, which differ from each other gene by gene."""
    rng = np.random.default_rng(seed)
    names = [f"G{i:02d}" for i in range(40)] + ["A", "B", "C"]
    wells = {keys.CONTROL: 40, "A": 4, "B": 8, "C": 8}
    labels = np.repeat(np.array(list(wells), dtype=object), [25 * number for number in wells.values()])
    well = np.arange(len(labels)) // 25
    mean = rng.gamma(3.0, 10.0, len(names)) * rng.lognormal(0.0, spread, (well.max() + 1, len(names)))[well]
    prepared = build(overdispersed(mean, rng), labels, names, ("A", "B", "C"))
    return with_columns(prepared, batch=np.array([f"w{i}" for i in well], dtype=object))


def test_wells_of_one_guide_each_are_replicates_and_no_strata() -> None:
    prepared = in_wells(0.3)
    design = Design.of(prepared)
    assert set(design.stratum) == {0}
    assert len(np.unique(design.replicates[keys.BATCH])) == 60
    z = {}
    for name, batch in (("wells", prepared.cells.obs["batch"]), ("nothing", np.full(1500, "1"))):
        observed = contrasts(with_columns(prepared, batch=np.asarray(batch, dtype=object)))
        assert observed.alone == ()
        z[name] = (observed.effect / observed.error)[observed.counted]
    assert np.std(z["wells"]) < 0.65 * np.std(z["nothing"])
    assert (np.abs(z["wells"]) > 4).sum() <= 3 < 10 < (np.abs(z["nothing"]) > 4).sum()


def test_a_batch_that_holds_two_labels_stays_a_stratum() -> None:
    prepared = in_wells(0.0)
    batch = np.asarray(prepared.cells.obs["batch"], dtype=object)
    batch[:4] = "w45"  # four controls in a well of A
    design = Design.of(with_columns(prepared, batch=batch))
    assert keys.BATCH not in design.replicates
    assert len(set(design.stratum)) == 60


@pytest.mark.real
def test_a_knock_out_whose_wells_are_deeper_changes_nothing() -> None:
    """NFATC1 of Datlinger et al. beside all other cells: a test of normalised counts finds 75 genes."""
    cells = read_h5ad(shared_folder("data") / "datlinger2021_jurkat.h5ad")
    shown: Any = cells.X
    cells = cells[:, np.asarray((shown > 0).sum(axis=0)).ravel() > 100].copy()
    found: Any = cells.X
    hit = (cells.obs["perturbation"] == "NFATC1").to_numpy()
    for condition in ("stimulated", "unstimulated"):
        chosen = (cells.obs["condition"] == condition).to_numpy()
        names = [*map(str, cells.var_names), "NFATC1"]
        counts = np.column_stack([found[chosen].toarray(), np.zeros(chosen.sum())])
        labels = np.where(hit[chosen], "NFATC1", keys.CONTROL).astype(object)
        prepared = build(counts, labels, names, ("NFATC1",))
        prepared = with_columns(prepared, guide=cells.obs["well"].astype(str).to_numpy(object)[chosen])
        observed = contrasts(prepared)
        z = (observed.effect / observed.error)[observed.counted]
        assert len(z) > 200
        assert (stats.false_discovery_control(2 * stats.norm.sf(np.abs(z))) < 0.05).sum() <= 3
