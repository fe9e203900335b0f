"""Which genes W spans: the perturbed ones, and those that may stand between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data.expression import LogExpression, log_expression
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.data.store import BLOCK, StoredCounts, rows_of, shape_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.config import DataSettings


def choose_panel(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: pd.Series,
    training: np.ndarray,
    settings: DataSettings,
    ids: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> Panel:
    """G0, the genes of all labels, and G+ by `settings.panel`; every gene of G+ comes with its reason.

    counts: (n_obs, n_vars) raw; labels: cell id -> canonical label, same rows; training: (n_obs,) bool, the
    only cells the Wilcoxon rule looks at, so that held-out cells have no say; ids: symbol -> Ensembl id.
    """
    perturbed = sorted(
        {gene for label in set(labels) - {keys.CONTROL} for gene in label.split(keys.PAIR_SEPARATOR)}
    )
    if takes_all(len(genes), settings):
        why = "measured, never perturbed: every measured gene is in the panel"
        reasons = dict.fromkeys(sorted(set(genes) - set(perturbed)), why)
    else:
        reasons = extended_by_wilcoxon(counts, genes, labels, training, settings, set(perturbed), progress)
    present = set(genes)
    asked = present & set(settings.panel_genes) - set(perturbed) - set(reasons)
    reasons |= dict.fromkeys(sorted(asked), "asked for in the settings (panel_genes)")
    extended = sorted(reasons)
    measured = tuple(gene for gene in (*perturbed, *extended) if gene in present)
    known = {gene: (ids or {})[gene] for gene in (*perturbed, *extended) if gene in (ids or {})}
    data = PanelData(
        perturbed=tuple(perturbed), extended=tuple(extended), measured=measured, reasons=reasons, ids=known
    )
    return Panel(data)


def takes_all(measured: int, settings: DataSettings) -> bool:
    """Whether the panel holds every measured gene."""
    return settings.panel == "all" or (settings.panel == "auto" and measured < settings.panel_all_below)


def extended_by_wilcoxon(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: pd.Series,
    training: np.ndarray,
    settings: DataSettings,
    perturbed: set[str],
    progress: Progress | None = None,
) -> dict[str, str]:
    """Gene -> reason: per perturbation its best never-perturbed genes that pass `select_extended`."""
    chosen_cells = np.flatnonzero(training)
    table = wilcoxon_table(
        rows_of(counts, chosen_cells), genes, labels.iloc[chosen_cells], settings.target_sum, progress
    )
    candidates = cast("pd.DataFrame", table[~np.isin(table["gene"].to_numpy(dtype=str), sorted(perturbed))])
    chosen = select_extended(
        candidates, settings.extended_per_perturbation, settings.extended_min_abs_lfc, settings.extended_max_p
    )
    reasons: dict[str, list[str]] = {}
    for row in chosen.to_dict("records"):
        text = f"{row['perturbation']} (log2 fold change {row['lfc']:+.2f}, adjusted p {row['p']:.1e})"
        reasons.setdefault(str(row["gene"]), []).append(text)
    return {gene: f"changed by {'; '.join(texts)}" for gene, texts in reasons.items()}


def select_extended(
    table: pd.DataFrame, per_perturbation: int, min_abs_lfc: float, max_p: float
) -> pd.DataFrame:
    """The rows of `wilcoxon_table` that make G+: abs(lfc) above and adjusted p below their limits, whatever
    the direction of the change; of those, per perturbation, the ones with the largest abs(score) (ties: by
    abs(lfc), then by name)."""
    lfc, score = (np.abs(table[name].to_numpy(dtype=np.float64)) for name in ("lfc", "score"))
    passing = (lfc > min_abs_lfc) & (table["p"].to_numpy(dtype=np.float64) < max_p)
    ranked = table.assign(_score=-score, _lfc=-lfc).iloc[np.flatnonzero(passing)]
    ranked = ranked.sort_values(["perturbation", "_score", "_lfc", "gene"], kind="stable")
    return (
        ranked.groupby("perturbation", sort=True)
        .head(per_perturbation)
        .drop(columns=["_score", "_lfc"])
        .reset_index(drop=True)
    )


def wilcoxon_table(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: pd.Series,
    target_sum: float,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Every perturbation against the controls: columns perturbation, gene, score (z), lfc (log2 fold change),
    p (Benjamini-Hochberg).

    On log(1 + target_sum x / l), with scanpy's fold change of rank_genes_groups. Empty where there is nothing
    to compare.
    """
    import pandas as pd
    from scipy import stats

    names = labels.to_numpy(dtype=object)
    size = Counter(names)
    groups = sorted(name for name, n in size.items() if name != keys.CONTROL and n > 1)
    if not groups or size[keys.CONTROL] < 2:
        return pd.DataFrame({column: [] for column in ("perturbation", "gene", "score", "lfc", "p")})
    expression = log_expression(counts, target_sum=target_sum)
    members = [np.flatnonzero(names == name) for name in (keys.CONTROL, *groups)]
    means = np.vstack([np.asarray(expression[rows].mean(axis=0)).ravel() for rows in members])
    levels = np.expm1(means) + 1e-9
    scores = wilcoxon_scores(expression, members[0], members[1:], progress)
    adjusted = stats.false_discovery_control(2.0 * stats.norm.sf(np.abs(scores)), axis=1)
    return pd.DataFrame(
        {
            "perturbation": np.repeat(np.array(groups, dtype=object), len(genes)),
            "gene": np.tile(np.array(genes, dtype=object), len(groups)),
            "score": scores.ravel(),
            "lfc": np.log2(levels[1:] / levels[0]).ravel(),
            "p": adjusted.ravel(),
        }
    )


def wilcoxon_scores(
    expression: sparse.csr_matrix | LogExpression,
    control: np.ndarray,
    groups: Sequence[np.ndarray],
    progress: Progress | None = None,
) -> np.ndarray:
    """(groups, n_vars) z of the rank-sum test of each group's rows against the control rows, normal
    approximation, ties corrected.

    expression: (n_obs, n_vars), no negative values. scanpy ranks controls and cells anew for every group:
    minutes for 100 perturbations, hours for 600. Here the non-zero controls are sorted once per gene, and the
    zeros are counted, not sorted.
    """
    parts = []
    for end, block in _gene_blocks(expression):
        parts.append(_block_scores(block, control, groups))
        tell(progress, "choosing the panel", end / shape_of(expression)[1])
    return np.concatenate(parts, axis=1)


def _gene_blocks(expression: sparse.csr_matrix | LogExpression) -> Iterator[tuple[int, Any]]:
    """(position after the last gene, these genes as CSC), all genes in order."""
    if isinstance(expression, LogExpression):
        yield from ((columns.stop, block) for columns, block in expression.column_blocks(BLOCK))
        return
    by_gene: Any = expression.tocsc()
    for start in range(0, by_gene.shape[1], 512):
        yield min(start + 512, by_gene.shape[1]), by_gene[:, start : start + 512]


def _block_scores(block: Any, control: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """wilcoxon_scores for a few columns (block: CSC). Equal values of a gene share a code; codes ascend by
    gene, then by value.
    """
    block.sort_indices()
    block.eliminate_zeros()
    n_vars = block.shape[1]
    column = np.repeat(np.arange(n_vars), np.diff(block.indptr))
    order = np.lexsort((block.data, column))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(block.data[order]) != 0) | (np.diff(column[order]) != 0)
    codes = np.empty(len(order), dtype=np.int64)
    codes[order] = np.cumsum(new)  # from 1: a stored 0 would be a missing entry
    coded = type(block)((codes, block.indices, block.indptr), shape=block.shape).tocsr()
    base, base_columns = np.sort(coded[control].data), coded[control].indices
    filled = np.bincount(base_columns, minlength=n_vars)
    ties = np.unique(base, return_counts=True)[1]
    gene_of = np.empty(int(codes.max(initial=0)) + 1, dtype=np.int64)
    gene_of[codes] = column
    tied = np.bincount(gene_of[np.unique(base)], weights=_cube(ties), minlength=n_vars)
    first = np.concatenate([[0], np.cumsum(filled)[:-1]])
    return np.vstack(
        [_group_scores(coded[rows], base, gene_of, first, filled, tied, len(control)) for rows in groups]
    )


def _group_scores(
    group: Any,
    base: np.ndarray,
    gene_of: np.ndarray,
    first: np.ndarray,
    filled: np.ndarray,
    tied: np.ndarray,
    n_control: int,
) -> np.ndarray:
    """(n_vars,) z of one group (CSR of codes): U counts the control values below each value of the group,
    half of the equal ones.

    base: sorted codes of the controls; first, filled: where a gene's begin there and how many; tied: sum of
    t^3 - t over them.
    """
    n, n_vars = group.shape
    values, times = np.unique(group.data, return_counts=True)
    gene = gene_of[values]
    low, high = np.searchsorted(base, values, "left"), np.searchsorted(base, values, "right")
    zero, own_zero = n_control - filled, n - np.bincount(gene, weights=times, minlength=n_vars)
    below = zero[gene] + (low - first[gene]) + 0.5 * (high - low)
    u = np.bincount(gene, weights=below * times, minlength=n_vars) + 0.5 * zero * own_zero
    more = _cube(high - low + times) - _cube(high - low)
    ties = tied + np.bincount(gene, weights=more, minlength=n_vars) + _cube(zero + own_zero)
    total = n + n_control
    variance = n * n_control / 12.0 * ((total + 1) - ties / (total * (total - 1)))
    difference = u - 0.5 * n * n_control
    return np.divide(
        difference, np.sqrt(np.maximum(variance, 0.0)), out=np.zeros(n_vars), where=variance > 1e-9
    )


def _cube(t: np.ndarray) -> np.ndarray:
    """t^3 - t, the weight of t equal values in the tie correction."""
    t = t.astype(np.float64)
    return t**3 - t
