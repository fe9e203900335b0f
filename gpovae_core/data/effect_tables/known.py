"""What the columns and layers of a table of effects are called: by DESeq2, edgeR, limma, MAST, glmGamPoi,
PyDESeq2, scanpy, Seurat and SCEPTRE, and in public files. Names are compared as `plain_name` gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gpovae_core.data.text_tables import plain_name
from gpovae_core.errors import SettingsError

Unit = Literal["log2", "ln"]

LOG2 = (
    "log2foldchange",  # DESeq2, PyDESeq2
    "log2_fold_change",
    "log_2_fold_change",  # SCEPTRE
    "log2fc",
    "log2_fc",
    "l2fc",
    "avg_log2fc",  # Seurat from version 4
    "logfoldchanges",  # scanpy
    "log2foldchanges",
    "log2_fold_changes",
    "logfc",  # edgeR, limma
    "lfc",  # glmGamPoi
)
NATURAL = (
    "lnfc",
    "ln_fc",
    "ln_fold_change",
    "lnfoldchange",
    "loge_fc",
    "log_e_fc",
    "loge_fold_change",
    "natural_log_fc",
    "natural_log_fold_change",
    "logfc_natural",
    "avg_logfc",  # Seurat before version 4
)
UNKNOWN = (
    "coef",  # MAST: on the scale of what was put in
    "beta",
    "estimate",
    "effect",
    "effects",
    "effect_size",
    "log_fc",
    "log_fold_change",
    "logfoldchange",
    "x",
)
"""Names of effects that do not tell their unit; X of a file of cells is one."""
LINEAR = ("fold_change", "foldchange", "fc", "avg_fc", "ratio")
OFTEN_LOG2 = ("logfc", "lfc")
"""Names that leave the base to the program: log2 in edgeR, limma and glmGamPoi. It is said."""

ERRORS = (
    "lfcse",  # DESeq2, PyDESeq2
    "se",
    "std_error",
    "stderr",
    "std_err",
    "standard_error",
    "standard_errors",
    "standarderror",
    "log2fc_se",
    "log2fcse",
    "se_log2fc",
    "log2foldchange_se",
    "log2_fold_change_se",
    "lfc_se",
    "se_lfc",
    "logfc_se",
    "se_logfc",
    "effect_se",
    "se_effect",
    "coef_se",
    "se_coef",
    "beta_se",
    "se_beta",
    "estimate_se",
    "ln_fc_se",
    "lnfc_se",
    "sems",
)
INTERVALS = (
    ("ci_lo", "ci_hi"),  # MAST
    ("ci_l", "ci_r"),  # limma
    ("ci_low", "ci_high"),
    ("ci_lower", "ci_upper"),
    ("conf_low", "conf_high"),
    ("lower_ci", "upper_ci"),
    ("lower_95", "upper_95"),
    ("ci95_low", "ci95_high"),
    ("ci_95_lower", "ci_95_upper"),
    ("lower", "upper"),
)
"""Lower and upper ends of 95 % intervals."""
STATISTICS = (
    "stat",  # DESeq2, PyDESeq2
    "t",  # limma
    "z",  # MAST
    "wald",
    "wald_stat",
    "wald_statistic",
    "t_stat",
    "t_statistic",
    "t_value",
    "z_score",
    "zscore",
    "z_value",
    "statistic",
    "test_statistic",
    "scores",  # scanpy
)
"""Effect over standard error; a square of it where none is negative."""
SQUARES = ("f", "lr", "f_statistic", "f_stat", "lr_stat", "lrt", "chisq", "chi_squared")
"""Of edgeR and glmGamPoi: the square of effect over standard error where one coefficient is tested."""
P_VALUES = (
    "pvalue",  # DESeq2, edgeR, PyDESeq2
    "p_value",  # limma, SCEPTRE
    "pval",  # glmGamPoi
    "p_val",  # Seurat
    "pvals",  # scanpy
    "pr_chisq",  # MAST
    "p",
    "praw",
    "p_raw",
    "raw_p_value",
)
ADJUSTED = (
    "padj",
    "fdr",
    "adj_p_val",
    "adj_pval",
    "p_val_adj",
    "pvals_adj",
    "p_adj",
    "q_value",
    "qvalue",
    "adj_p_value",
)

PERTURBATIONS = (
    "perturbation",
    "perturbed_gene",
    "perturbed_target_symbol",
    "perturbed_target",
    "gene_perturbed",
    "perturbation_target",
    "perturbed",
    "pert",
    "grna_target",
    "sgrna_target",
    "guide_target",
    "crispr_target",
    "target_gene",
    "target_symbol",
    "gene_target",
    "knockdown",
    "knock_down",
    "kd_gene",
    "knockout",
    "knock_out",
    "ko_gene",
    "ko",
    "kd",
    "regulator",
    "source",
    "tf",
    "contrast",
    "comparison",
    "condition",
    "treatment",
    "group",
    "test",
    "coefficient",
    "coef",
    "term",
    "grna_group",
    "cluster_id",
    "cluster",  # Seurat's FindAllMarkers
    "target",
    "guide",
)
GENES = (
    "gene",
    "gene_symbol",
    "gene_symbols",
    "symbol",
    "symbols",
    "gene_name",
    "gene_names",
    "genename",
    "hgnc_symbol",
    "external_gene_name",
    "feature_name",
    "genes",
    "names",
    "name",
    "primerid",
    "response_id",
    "response",
    "readout_gene",
    "effect_gene",
    "measured_gene",
    "downstream_gene",
    "target",
    "target_gene",
    "feature",
    "features",
    "gene_id",
    "gene_ids",
    "geneid",
    "ensembl_gene_id",
    "ensembl_id",
    "ensembl",
    "id",
    "row",
    "rowname",
    "row_names",
    "rownames",
    "rn",
    "index",
    "unnamed_0",
    "index_level_0",
    "x",
    "",
)


@dataclass(frozen=True)
class EffectColumns:
    """What a person says of a table of effects; None where it is to be found by the names. unit: of the
    effects and their errors.
    """

    perturbation: str | None = None
    gene: str | None = None
    effect: str | None = None
    error: str | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in get_args(Unit):
            raise SettingsError(f"effects.unit takes {', '.join(get_args(Unit))}; got '{self.unit}'.")


EITHER_WAY = ({"gene", "target"}, {"gene", "target_gene"})
"""Pairs of names of which either may be the perturbed gene: a gene and what it targets, or what a guide
targets and a gene.
"""


def effect_of(names: Sequence[str]) -> str | None:
    """The column or layer that holds the effects, as it is written; None without one."""
    return first_of(names, (*LOG2, *NATURAL, *UNKNOWN[:-1]))


def first_of(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of the names wanted that is there, as it is written there."""
    written = {plain_name(name): name for name in reversed(names)}
    return next((written[name] for name in wanted if name in written), None)


def all_of(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """All names that are wanted, as they are written, in the order in which they are wanted."""
    written = {plain_name(name): name for name in reversed(names)}
    return [written[name] for name in wanted if name in written]


def looks_like_effects(names: Sequence[str]) -> bool:
    """Whether columns with these names are a table of effects: an effect whose name says so, and something
    that says how sure it is.
    """
    plain = {plain_name(name) for name in names}
    surely = plain & {*LOG2, *NATURAL, "coef", "log_fc", "log_fold_change", "logfoldchange"}
    judged = plain & {*ERRORS, *STATISTICS, *SQUARES, *P_VALUES, *ADJUSTED} or any(
        set(pair) <= plain for pair in INTERVALS
    )
    return bool(surely) and bool(judged)
