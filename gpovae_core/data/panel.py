"""Which genes W spans: the perturbed ones, and those that may stand between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress
from gpovae_core.data.rank_sums import rank_sums
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.data.store import StoredCounts, rows_of

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
    perturbed = sorted({gene for label in set(labels) - {keys.CONTROL} for gene in keys.genes_of(label)})
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
    candidates = cast("pd.DataFrame", table[~table["gene"].isin(sorted(perturbed))])
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

    On log(1 + target_sum x / l), the normal approximation with ties corrected (data.rank_sums) and scanpy's
    fold change of rank_genes_groups. Empty where there is nothing to compare.
    """
    import pandas as pd
    from scipy import stats

    names = labels.to_numpy(dtype=object)
    size = Counter(names)
    groups = sorted(name for name, n in size.items() if name != keys.CONTROL and n > 1)
    if not groups or size[keys.CONTROL] < 2:
        return pd.DataFrame({column: [] for column in ("perturbation", "gene", "score", "lfc", "p")})
    expression = log_expression(counts, target_sum=target_sum)
    control, *own = cells_of(names, (keys.CONTROL, *groups))
    found = rank_sums(expression, control, own, progress, "choosing the panel")
    adjusted = stats.false_discovery_control(2.0 * stats.norm.sf(np.abs(found.z)), axis=1)
    return pd.DataFrame(
        {
            "perturbation": np.repeat(np.array(groups, dtype=object), len(genes)),
            "gene": np.tile(np.array(genes, dtype=object), len(groups)),
            "score": found.z.ravel(),
            "lfc": np.log2(found.ratio).ravel(),
            "p": adjusted.ravel(),
        }
    )
