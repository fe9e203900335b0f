"""The layout of the network: repeatable, finite, and nothing thrown far out."""

import numpy as np
import pytest

from gpovae_core.plots.layout import SIZE, STRETCH, network_layout


def random_edges(genes: int, edges: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, genes, edges), rng.integers(0, genes, edges), rng.uniform(0.1, 1.0, edges)


def test_the_same_network_is_laid_out_alike_every_time() -> None:
    edges = random_edges(80, 200, 1)
    np.testing.assert_array_equal(network_layout(80, *edges), network_layout(80, *edges))


@pytest.mark.parametrize(("genes", "edges"), [(1, 0), (2, 0), (2, 1), (50, 0), (50, 3), (300, 900)])
def test_every_gene_has_a_place_of_its_own_not_far_out(genes: int, edges: int) -> None:
    where = network_layout(genes, *random_edges(genes, edges, 2))
    assert where.shape == (genes, 2)
    assert np.isfinite(where).all()
    assert len(np.unique(where.round(6), axis=0)) == genes
    assert np.abs(where).max() < 4 * SIZE * STRETCH


def test_self_loops_alone_connect_nothing() -> None:
    loops = np.arange(5)
    np.testing.assert_array_equal(
        network_layout(5, loops, loops, np.ones(5)),
        network_layout(5, *(np.empty(0, dtype=int),) * 2, np.empty(0)),
    )


def test_neighbours_are_nearer_than_strangers() -> None:
    """Two cliques joined by one edge: distances within are shorter than between."""
    left = [(i, j) for i in range(8) for j in range(8) if i != j]
    edges = np.array([*left, *((i + 8, j + 8) for i, j in left), (0, 8)])
    where = network_layout(16, edges[:, 0], edges[:, 1], np.ones(len(edges)))
    distance = np.linalg.norm(where[:, None] - where[None], axis=2)
    assert distance[:8, :8].sum() / 56 < 0.5 * distance[:8, 8:].mean()
