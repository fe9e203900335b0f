"""Rank sums of every gene, many groups of cells against one: Mann and Whitney's statistic by `illico`.

Its kernels sort the controls once for all groups, and count zeros instead of sorting them; they are called
gene by gene block, so that cores are shared with everything else and progress can be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from gpovae_core.data.cores import at_once, jobs
from gpovae_core.data.expression import LogExpression
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.store import BLOCK

GENES_AT_ONCE = 256
_GENES_IN_STEP = 64
"""Of counts on disk, between two words on how far it is."""
BESIDE = 4
_AT_ONCE = BESIDE * BLOCK
"""Stored values that all cores together hold, of counts on disk: up to BESIDE cores BLOCK each."""


@dataclass(frozen=True)
class RankSums:
    """Groups against controls, arrays (groups, genes).

    u: Mann and Whitney's U of the group, how many pairs of one of its cells and a control it wins, a tie
    counting half; z: U less its expectation over its standard deviation (ties corrected, no continuity
    correction), 0 where all values are equal; ratio: of the means, which are taken of logarithms where the
    values are such, and turned back, with 1e-9 added to both.
    """

    u: np.ndarray
    z: np.ndarray
    ratio: np.ndarray


def rank_sums(
    values: Any,
    control: np.ndarray,
    groups: Sequence[np.ndarray],
    progress: Progress | None = None,
    doing: str = "comparing ranks",
) -> RankSums:
    """Each of `groups` (rows) against the rows `control`, gene by gene.

    values: (n_obs, genes) log(1 + x), a sparse matrix or `LogExpression`; no row may be in two groups. All
    groups and the controls have cells.
    """
    tested = _grouped(values.shape[0], control, groups)
    on_disk = isinstance(values, LogExpression)
    whole = None if on_disk else _plain(values if sparse.issparse(values) else sparse.csr_matrix(values))

    shares: dict[int, float] = {}  # of the genes that are worked on, by the first of them

    def sums(genes: slice) -> np.ndarray:
        if whole is not None:
            return _block_sums(whole, genes.start, genes.stop, tested)

        def done_of_it(share: float) -> None:
            shares[genes.start] = share * (genes.stop - genes.start)

        # by every core for itself: half of the work is to read
        block, parts = _plain(values.columns(genes, lambda share: done_of_it(0.5 * share))), []
        for some in _some(block.shape[1], _GENES_IN_STEP):
            parts.append(_block_sums(block, some.start, some.stop, tested))
            done_of_it(0.5 + 0.5 * some.stop / block.shape[1])
        return np.concatenate(parts, axis=2)

    found, done = [], 0

    def say() -> None:
        under_way = sum(share for start, share in list(shares.items()) if start >= done)
        tell(progress, doing, (done + under_way) / values.shape[1])

    most, first = _AT_ONCE // max(BESIDE, jobs()), stretch(progress, 0.0, 0.05)
    pieces = values.column_cuts(most, first, doing) if on_disk else _some(values.shape[1], GENES_AT_ONCE)
    progress = stretch(progress, 0.05) if on_disk else progress
    for part in at_once(sums, pieces, say):
        found.append(part)
        done += part.shape[2]
        say()
    return RankSums(*np.concatenate(found, axis=2) if found else np.zeros((3, len(groups), 0)))


def _grouped(n_obs: int, control: np.ndarray, groups: Sequence[np.ndarray]) -> Any:
    """illico's description of the groups: 0 for controls, then `groups`, in this order."""
    from illico.utils.groups import encode_and_count_groups

    number = np.full(n_obs, -1)
    for place, rows in enumerate((control, *groups)):
        number[rows] = place
    return encode_and_count_groups(number, 0, np.arange(len(groups) + 1))[1]


def _some(genes: int, width: int) -> Iterator[slice]:
    return (slice(start, min(start + width, genes)) for start in range(0, genes, width))


def _plain(block: Any) -> Any:
    block.sort_indices()
    if block.indices.dtype != block.indptr.dtype:
        block = block.copy()
        block.indices = block.indices.astype(np.int64)
        block.indptr = block.indptr.astype(np.int64)
    return block


def _block_sums(block: Any, start: int, end: int, tested: Any) -> np.ndarray:
    """(3, groups, end - start): U, z and ratio of these genes of a block."""
    import illico  # noqa: F401  it registers the kernels
    from illico.utils.registry import KernelDataFormat, Test, data_handler_registry, rs_dispatcher_registry

    kernel = rs_dispatcher_registry.get(Test.OVO, KernelDataFormat(block.format))
    is_log1p, continuity, ties, of_means = True, False, True, True
    matrix = data_handler_registry.get(block).to_nb(block)
    _, u, z, ratio = kernel(matrix, start, end, tested, is_log1p, continuity, ties, of_means, "two-sided")
    return np.stack([u, z, ratio])[:, 1 : int(tested.n_selected_groups)]
