"""What is said of an edge equals scipy on the same cells, and nothing is said where nothing was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import observed_changes
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import HeldOutCells, inspect_edge
from gpovae_core.network.references import read_reference
from tests.fake_run import make_fake_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneNetwork, PreparedCells]:
    folder = make_fake_run(
        tmp_path_factory.mktemp("run") / "r",
        n_perturbed=6,
        n_extended=4,
        n_measured=9,
        cells_per_perturbation=40,
    )
    return GeneNetwork.from_run(folder), folder.cells()


def test_the_numbers_are_those_of_scipy(run: tuple[GeneNetwork, PreparedCells]) -> None:
    network, cells = run
    pairs = held_out_pairs(cells)
    found = inspect_edge(network, "PERT0001", "PERT0003", HeldOutCells.of(cells), pairs).measured
    values = (
        log_expression(cells.counts, cells.library_size)[:, [cells.cells.var_names.get_loc("PERT0003")]]
        .toarray()
        .ravel()
    )
    held = cells.where(splits=keys.HELD_OUT)
    control, treated = (
        values[held & (cells.labels == keys.CONTROL)],
        values[held & (cells.labels == "PERT0001")],
    )
    assert found is not None
    np.testing.assert_array_equal(np.sort(found.control), np.sort(control))
    np.testing.assert_array_equal(np.sort(found.perturbed), np.sort(treated))
    row = observed_changes(cells, "PERT0001").loc["PERT0003"]
    assert (found.fold, found.error) == pytest.approx((row["fold"], row["fold_se"]))
    assert (found.low, found.high) == pytest.approx((row["fold_low"], row["fold_high"]))
    assert found.low < found.fold < found.high
    assert found.wasserstein == pytest.approx(stats.wasserstein_distance(control, treated))
    assert found.p == pytest.approx(row["p"])
    i, j = pairs.sources.index("PERT0001"), pairs.targets.index("PERT0003")
    assert found.adjusted == pairs.adjusted[i, j]
    assert (found.p, found.wasserstein) == pytest.approx((pairs.p[i, j], pairs.wasserstein[i, j]))
    assert inspect_edge(network, "PERT0001", ("PERT0003"), HeldOutCells.of(cells)).measured.adjusted is None  # type: ignore[union-attr]


def test_a_gene_held_out_as_a_whole_has_no_direct_evidence(tmp_path: Path) -> None:
    folder = make_fake_run(
        tmp_path / "r", n_perturbed=6, n_extended=4, n_measured=9, cells_per_perturbation=40
    )
    settings = folder.settings()
    folder.write_settings(
        settings.model_copy(update={"data": settings.data.model_copy(update={"unseen": ("PERT0001",)})})
    )
    network, cells = GeneNetwork.from_run(folder), HeldOutCells.of(folder.cells())
    found = inspect_edge(network, "PERT0001", "PERT0003", cells)
    assert (found.perturbed, found.measured) == (False, None)
    assert found.why_not.startswith("No direct evidence: PERT0001 was held out with all its cells")
    assert found.of == (4 + 1) * (len(network) - 1)
    assert inspect_edge(network, "PERT0002", "PERT0003", cells).perturbed


def test_rank_counts_the_stronger_edges_out_of_genes_of_the_same_kind(
    run: tuple[GeneNetwork, PreparedCells],
) -> None:
    network, _ = run
    table = network.edges(0.0)
    kind = table["source"].str.startswith("PERT")
    for perturbed, sources in ((True, 6), (False, 4)):
        part = table[kind == perturbed].reset_index(drop=True)
        for place in (0, 5, len(part) - 1):
            row = part.iloc[place]
            found = inspect_edge(network, row["source"], row["target"])
            assert found.rank == (part["weight"] > row["weight"]).sum() + 1
            assert found.of == sources * (len(network) - 1)
            assert found.weight == row["weight"]


def test_what_was_never_perturbed_has_no_direct_evidence(run: tuple[GeneNetwork, PreparedCells]) -> None:
    found = inspect_edge(run[0], "EXT0001", "PERT0000", HeldOutCells.of(run[1]))
    assert not found.perturbed
    assert found.measured is None
    assert found.why_not.startswith("No direct evidence: EXT0001 was never perturbed")


def test_other_reasons_are_named(run: tuple[GeneNetwork, PreparedCells]) -> None:
    network, cells = run
    unmeasured = network.panel.genes[-1]
    assert not network.panel.is_measured[-1]
    assert "was not measured" in inspect_edge(network, "PERT0000", unmeasured, HeldOutCells.of(cells)).why_not
    assert "holds no cells" in inspect_edge(network, "PERT0000", "PERT0001").why_not
    held_out = cells.where(splits=keys.HELD_OUT)

    def without(label: str) -> HeldOutCells:
        return HeldOutCells.of(
            PreparedCells(
                cells.cells[~((cells.labels == label) & held_out)].copy(), cells.panel, cells.report
            )
        )

    assert (
        "No held-out cell has PERT0002"
        in inspect_edge(network, "PERT0002", "PERT0001", without("PERT0002")).why_not
    )
    assert "No control cell" in inspect_edge(network, "PERT0002", "PERT0001", without(keys.CONTROL)).why_not


def chain(direct: float) -> GeneNetwork:
    from tests.network.test_compare import network_of

    net = network_of(("A", "B", "C"), 0)
    weights = np.zeros((3, 3))
    index = net.panel.index
    weights[index["A"], index["B"]] = weights[index["B"], index["C"]] = 0.9
    weights[index["A"], index["C"]] = direct
    return GeneNetwork.from_weights(net.panel, weights)


@pytest.mark.parametrize(("direct", "explained"), [(0.95, False), (0.5, True), (0.81, True)])
def test_a_path_explains_an_edge_that_it_is_as_probable_as(direct: float, explained: bool) -> None:
    found = inspect_edge(chain(direct), "A", "C")
    assert found.explained_by_path is explained
    assert found.detour is not None
    assert found.detour.genes == ("A", "B", "C")
    assert found.detour.probability == pytest.approx(0.81)


def test_no_way_around() -> None:
    found = inspect_edge(chain(0.5), "A", "B")
    assert found.detour is None
    assert not found.explained_by_path


def test_references_are_asked(run: tuple[GeneNetwork, PreparedCells]) -> None:
    reference = read_reference(b"source,target,sign\npert0000,pert0001,-1\n", "mine.csv")
    there, back = (
        inspect_edge(run[0], *ends, references=[reference]).known[0]
        for ends in (("PERT0000", "PERT0001"), ("PERT0001", "PERT0000"))
    )
    assert (there.reference, there.found, there.sign) == ("mine", True, -1)
    assert (back.found, back.reverse) == (False, True)


def test_a_self_loop_has_no_path(run: tuple[GeneNetwork, PreparedCells]) -> None:
    found = inspect_edge(run[0], "PERT0000", "PERT0000", HeldOutCells.of(run[1]))
    assert found.trace is None
    assert found.measured is not None
    assert found.measured.adjusted is None


def test_strength_and_stored_influence_are_shown(run: tuple[GeneNetwork, PreparedCells]) -> None:
    net = chain(0.5)
    strength = np.arange(9.0).reshape(3, 3) - 4
    whole = GeneNetwork(
        net.panel, net.weights, net.signs, net.effects, strength=strength, influence_matrix=strength * 2
    )
    i, j = net.panel.index["A"], net.panel.index["C"]
    found = inspect_edge(whole, "A", "C")
    assert (found.strength, found.influence) == (strength[i, j], 2 * strength[i, j])


@pytest.mark.parametrize(
    ("along", "direct", "against"),
    [(0.8, -0.6, True), (0.8, -2.0, False), (0.8, 0.6, False), (0.0, 0.6, False)],
)
def test_an_edge_against_the_paths_is_called_so(along: float, direct: float, against: bool) -> None:
    """A -> B -> C carries along * along * W^2 = 0.52 at 0.8, and A -> C 0.9 times the strength given."""
    net = chain(0.9)
    a, b, c = (net.panel.index[gene] for gene in "ABC")
    strength, total = np.zeros((3, 3)), np.zeros((3, 3))
    strength[a, b] = strength[b, c] = along
    strength[a, c] = direct
    total[a, c] = (0.9 * along) ** 2 + 0.9 * direct
    whole = GeneNetwork(
        net.panel, net.weights, net.signs, net.effects, strength=strength, influence_matrix=total
    )
    assert inspect_edge(whole, "A", "C").against_paths is against
    assert not inspect_edge(net, "A", "C").against_paths  # without strengths nothing has a sign


def test_unknown_genes_are_refused(run: tuple[GeneNetwork, PreparedCells]) -> None:
    with pytest.raises(QueryError, match="not in the panel"):
        inspect_edge(run[0], "NOPE", "PERT0001")


def test_the_project_has_real_cells_to_show(tmp_path: Path) -> None:
    """The demo run: a true edge of the simulation is seen in its cells."""
    from gpovae_core.runs.folder import RunFolder
    from tests.conftest import PROJECT

    demo = RunFolder.open(PROJECT / "assets" / "demo" / "run")
    network = GeneNetwork.from_run(demo)
    strongest = network.edges(0.5).iloc[0]
    found = inspect_edge(
        network,
        strongest["source"],
        strongest["target"],
        HeldOutCells.of(demo.cells()),
        held_out_pairs(demo.cells()),
    )
    assert found.measured is not None
    assert found.measured.adjusted is not None
    assert found.measured.adjusted < 0.01
    assert found.sign == -np.sign(found.measured.fold)
