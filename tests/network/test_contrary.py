"""Where an edge has its sign from whose measured effect has the other one: made networks, and the demo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.contrary import against_effect, contrary
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import inspect_edge
from gpovae_core.reporting.contrary import contrary_in_words
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT

FALL = float(np.log(0.1))
GENES = ("A", "B", "C", "D")
"""A -> B -> C, A -> C; D changes A and B."""


def made(
    effects: dict[str, dict[str, float]],
    strengths: dict[tuple[str, str], float],
    own: float = FALL,
    order: tuple[str, ...] = GENES,
) -> tuple[GeneNetwork, NetworkFit]:
    """Natural log fold changes by perturbed gene, each known to within 0.05 and beyond doubt, and the edges
    that were found in them. own: change of every gene when it is perturbed.
    """
    panel = Panel(PanelData(perturbed=tuple(sorted(order)), extended=(), measured=order))
    n = len(panel)
    effect, strength = np.zeros((n, n)), np.zeros((n, n))
    for source, changes in effects.items():
        for target, change in changes.items():
            effect[panel.index[source], panel.index[target]] = change
    for (source, target), value in strengths.items():
        strength[panel.index[source], panel.index[target]] = value
    np.fill_diagonal(effect, own)
    weights = (strength != 0).astype(float)
    fit = NetworkFit(
        log_odds=np.where(weights > 0, 30.0, -30.0),
        strength=strength,
        strength_sd=np.full((n, n), 0.05),
        influence=strength,
        passing=np.ones((n, n)),
        evidence=(effect != 0).astype(float),
        effect=effect,
        effect_sd=np.full((n, n), 0.05),
        own_change=np.full(n, own),
        own_source=np.zeros(n),
        shift=np.zeros(n),
        null_threshold=np.zeros(1),
        null_share=np.zeros(1),
        knock_out=np.ones(1),
    )
    nothing = np.zeros((n, n), dtype=np.int8), np.full((n, n), np.nan)
    return GeneNetwork(panel, weights, *nothing, strength=strength), fit


MISSING = {"A": {"B": -1.0, "C": -0.08}, "B": {"C": -1.2}}
"""B falls with A, and C with B; with A it hardly does: something holds it up."""
EDGES = {("A", "B"): 0.43, ("B", "C"): 0.52, ("A", "C"): -0.29}


def test_an_edge_that_stands_for_a_missing_effect() -> None:
    found = contrary(*made(MISSING, EDGES), "A", "C")
    assert found is not None
    unit = (1 - 0.1) / np.log(10)  # of a strength: per log change; what is felt is the share that is lost
    expected = (np.exp(-1.0) - 1) * 0.52 / unit
    assert found.own.expected == pytest.approx(expected / np.log(2))
    assert found.own.through == ("B",)
    assert found.own.direct == pytest.approx(-0.29 * FALL / np.log(2))
    assert found.own.seen == pytest.approx(-0.08 / np.log(2))
    assert (found.own_part, found.others, found.clear) == (1.0, (), False)
    told = contrary_in_words(found)
    assert told.startswith("A → C is drawn as repression, although no clear effect on C is seen when A is")
    assert f"Over B C should fall to x {np.exp(expected):.2f}" in told
    assert f"makes up for x {np.exp(-0.29 * FALL):.2f}" in told


def test_an_edge_that_other_perturbations_give_its_sign() -> None:
    """C falls with A as far as B makes it; with D, that changes A and B alike, it does not."""
    effects = MISSING | {"A": {"B": -1.0, "C": -0.9}, "D": {"A": -1.0, "B": -0.8, "C": -0.02}}
    found = contrary(*made(effects, EDGES), "A", "C")
    assert found is not None
    assert found.own_part == 0.0
    assert [one.perturbed for one in found.others] == ["D"]
    assert found.others[0].moved == pytest.approx(-1.0 / np.log(2))
    assert found.others[0].through == ("B",)
    told = contrary_in_words(found)
    assert "although C falls when A is perturbed" in told
    assert "The sign comes from cells with D perturbed, which change A, too: over B C should be" in told
    assert f"and is x {np.exp(-0.02):.2f}." in told
    assert "The cells with A itself perturbed speak against it" in told
    assert told.endswith("Take the measured effect, not the sign.")


def test_nothing_is_explained_that_needs_no_explanation() -> None:
    net, fit = made(MISSING, EDGES)
    assert contrary(net, fit, "B", "C") is None  # falls with B, and B activates it
    assert contrary(net, fit, "C", "A") is None  # no edge
    assert contrary(net, fit, "A", "A") is None
    unmeasured = fit.effect.copy()
    unmeasured[net.panel.index["A"], net.panel.index["C"]] = np.nan
    assert contrary(net, replace(fit, effect=unmeasured), "A", "C") is None
    assert contrary(replace(net, strength=None), fit, "A", "C") is None


def test_a_target_that_rises_with_an_activated_gene_is_not_against_the_sign() -> None:
    raised = {"A": {"B": 0.5, "C": 0.6}, "B": {"C": 0.7}}
    net, fit = made(raised, {("A", "B"): 0.7, ("B", "C"): 1.0, ("A", "C"): 0.1}, own=float(np.log(2)))
    assert not against_effect(net.signs, fit.effect, fit.own_change).any()
    assert contrary(net, fit, "A", "C") is None


def test_the_order_of_the_genes_changes_nothing() -> None:
    """B is the new name of C and the other way round, so they change places in the panel."""
    swap = {"B": "C", "C": "B"}

    def named(gene: str) -> str:
        return swap.get(gene, gene)

    effects = {named(s): {named(t): v for t, v in row.items()} for s, row in MISSING.items()}
    edges = {(named(s), named(t)): value for (s, t), value in EDGES.items()}
    one, other = contrary(*made(MISSING, EDGES), "A", "C"), contrary(*made(effects, edges), "A", "B")
    assert one is not None
    assert other is not None
    assert other.own.through == ("C",)
    assert other.own.expected == pytest.approx(one.own.expected)
    assert other.own_part == one.own_part


def test_without_a_perturbation_that_speaks_for_the_sign_nothing_is_made_up() -> None:
    net, fit = made({"A": {"C": -0.9}}, {("A", "C"): -0.3})
    found = contrary(net, fit, "A", "C")
    assert found is not None
    assert (found.own_part, found.others) == (0.0, ())
    assert "cannot be told" in contrary_in_words(found)


def test_every_edge_of_the_demo_that_is_against_its_effect_is_explained() -> None:
    run = RunFolder(PROJECT / "assets" / "demo" / "papalexi")
    net, fit = GeneNetwork.from_run(run), NetworkFit.from_arrays(run.network_arrays())
    against = against_effect(net.signs, fit.effect, fit.own_change)
    edges = net.with_evidence().edges(0.5)
    some = 0
    for source, target in zip(edges["source"], edges["target"], strict=True):
        found = inspect_edge(net, source, target, fit=fit).contrary
        assert (found is not None) == against[net.panel.index[source], net.panel.index[target]]
        some += found is not None
        if found is not None:
            assert found.own_part or found.others
    assert some >= 1
