"""Which genes W spans: the perturbed ones, and those that may stand between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data.effects import log_expression
from gpovae_core.data.schema import Panel, PanelData

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.config import DataSettings


def choose_panel(
    counts: sparse.csr_matrix,
    genes: Sequence[str],
    labels: pd.Series,
    training: np.ndarray,
    settings: DataSettings,
    ids: dict[str, str] | None = None,
) -> Panel:
    """G0, the genes of all labels, and G+ by `settings.panel`; every gene of G+ comes with its reason.

    counts: (n_obs, n_vars) raw; labels: cell id -> canonical label, same rows; training: (n_obs,) bool, the only cells the
    Wilcoxon rule looks at, so that held-out cells have no say; ids: symbol -> Ensembl id.
    """
    perturbed = sorted({gene for label in set(labels) - {keys.CONTROL} for gene in label.split(keys.PAIR_SEPARATOR)})
    if settings.panel == "all" or (settings.panel == "auto" and len(genes) < settings.panel_all_below):
        why = "measured, never perturbed: every measured gene is in the panel"
        reasons = dict.fromkeys(sorted(set(genes) - set(perturbed)), why)
    else:
        reasons = extended_by_wilcoxon(counts, genes, labels, training, settings, set(perturbed))
    extended = sorted(reasons)
    present = set(genes)
    measured = tuple(gene for gene in (*perturbed, *extended) if gene in present)
    known = {gene: (ids or {})[gene] for gene in (*perturbed, *extended) if gene in (ids or {})}
    data = PanelData(perturbed=tuple(perturbed), extended=tuple(extended), measured=measured, reasons=reasons, ids=known)
    return Panel(data)


def extended_by_wilcoxon(
    counts: sparse.csr_matrix, genes: Sequence[str], labels: pd.Series, training: np.ndarray, settings: DataSettings, perturbed: set[str]
) -> dict[str, str]:
    """Gene -> reason: per perturbation its best never-perturbed genes that pass `select_extended`."""
    table = wilcoxon_table(counts[np.flatnonzero(training)], genes, labels[training], settings.target_sum)
    candidates = cast("pd.DataFrame", table[~np.isin(table["gene"].to_numpy(dtype=str), sorted(perturbed))])
    chosen = select_extended(candidates, settings.extended_per_perturbation, settings.extended_min_abs_lfc, settings.extended_max_p)
    reasons: dict[str, list[str]] = {}
    for row in chosen.to_dict("records"):
        text = f"{row['perturbation']} (log2 fold change {row['lfc']:+.2f}, adjusted p {row['p']:.1e})"
        reasons.setdefault(str(row["gene"]), []).append(text)
    return {gene: f"changed by {'; '.join(texts)}" for gene, texts in reasons.items()}


def select_extended(table: pd.DataFrame, per_perturbation: int, min_abs_lfc: float, max_p: float) -> pd.DataFrame:
    """The rows of `wilcoxon_table` that make G+: abs(lfc) above and adjusted p below their limits, whatever the direction of the
    change; of those, per perturbation, the ones with the largest abs(score) (ties: by abs(lfc), then by name)."""
    passing = table[(table["lfc"].abs() > min_abs_lfc) & (table["p"] < max_p)]
    ranked = passing.assign(_score=-passing["score"].abs(), _lfc=-passing["lfc"].abs())
    ranked = ranked.sort_values(["perturbation", "_score", "_lfc", "gene"], kind="stable")
    return ranked.groupby("perturbation", sort=True).head(per_perturbation).drop(columns=["_score", "_lfc"]).reset_index(drop=True)


def wilcoxon_table(counts: sparse.csr_matrix, genes: Sequence[str], labels: pd.Series, target_sum: float) -> pd.DataFrame:
    """Every perturbation against the controls: columns perturbation, gene, score (z), lfc (log2 fold change), p (Benjamini-Hochberg).

    scanpy's rank_genes_groups on log(1 + target_sum x / l), ties corrected. Empty where there is nothing to compare.
    """
    import warnings

    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    n = Counter(labels)
    groups = sorted(name for name, size in n.items() if name != keys.CONTROL and size > 1)
    columns = ["perturbation", "gene", "score", "lfc", "p"]
    if not groups or n[keys.CONTROL] < 2:
        return pd.DataFrame({column: [] for column in columns})
    obs = pd.DataFrame({keys.PERTURBATION: pd.Categorical(labels.astype(str))}, index=labels.index.astype(str))
    cells = AnnData(log_expression(counts, target_sum=target_sum), obs=obs, var=pd.DataFrame(index=pd.Index(list(genes))))
    cells.uns["log1p"] = {"base": None}  # natural logarithm: scanpy needs it for the fold change
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.tl.rank_genes_groups(
            cells, keys.PERTURBATION, groups=groups, reference=keys.CONTROL, method="wilcoxon", tie_correct=True, n_genes=cells.n_vars
        )
    found = cells.uns["rank_genes_groups"]
    parts = [
        pd.DataFrame(
            {
                "perturbation": name,
                "gene": found["names"][name],
                "score": found["scores"][name].astype(float),
                "lfc": found["logfoldchanges"][name].astype(float),
                "p": found["pvals_adj"][name].astype(float),
            }
        )
        for name in groups
    ]
    return pd.concat(parts, ignore_index=True)
