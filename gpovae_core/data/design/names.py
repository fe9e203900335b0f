"""Usual names of the columns that hold the design of a screen, and what no batch is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpovae_core import keys

if TYPE_CHECKING:
    import pandas as pd

OFF = "none"
"""Given instead of a column, it switches a part of the design off."""
RECOVERED_LIBRARY = "recovered_library_size"
"""Column of obs for library sizes that normalised values tell (see data.recover)."""
NAMES = {
    keys.BATCH: (
        "batch",
        "batch_id",
        "gem_group",
        "gemgroup",
        "gem_well",
        "gem",
        "lane",
        "lane_id",
        "replicate",
        "biological_replicate",
        "bio_rep",
        "rep",
        "library",
        "library_id",
        "sample",
        "sample_id",
        "channel",
        "plate",
        "run",
        "sequencing_batch",
        "orig_ident",
        "pool",
        "well",
        "seq_batch",
        "processing_batch",
        "library_batch",
        "experimental_batch",
        "experiment",
        "exp",
        "experimental_replicate",
        "bio_replicate",
        "biorep",
        "technical_replicate",
        "tech_rep",
        "tech_replicate",
        "sequencing_run",
        "seq_run",
        "sequencing_library",
        "10x_lane",
        "tenx_lane",
        "10x_channel",
        "10x_run",
        "flowcell",
        "flow_cell",
        "chip",
        "reaction",
        "lib",
    ),
    keys.DONOR: (
        "donor",
        "donor_id",
        "individual",
        "individual_id",
        "patient",
        "patient_id",
        "subject",
        "subject_id",
        "participant",
        "mouse",
        "animal",
        "person",
        "biosample",
        "sample_donor",
        "hash_donor",
        "genetic_background",
        "ipsc_line",
        "hipsc_line",
    ),
    keys.GUIDE: (
        "guide_calls",  # made from guide UMIs, see data.made_labels
        "genetic_perturbation_id",
        "guide",
        "guide_id",
        "guide_name",
        "sgrna",
        "sgrna_id",
        "sgrna_name",
        "grna",
        "grna_id",
        "grna_name",
        "protospacer",
        "protospacer_id",
        "feature_call",
        "guide_identity",
        "guide_call",
        "guides",
        "sgid",
        "sgid_ab",
    ),
    keys.CONDITION: (
        "condition",
        "stimulation",
        "stimulus",
        "stim",
        "treatment",
        "culture_condition",
        "timepoint",
        "time_point",
        "time",
        "dose",
        "cell_line",
        "experimental_condition",
        "disease",
        "cytokine",
        "drug",
        "compound",
        "stim_condition",
        "stim_status",
        "stimulation_condition",
        "treatment_condition",
        "growth_condition",
        "medium",
        "media",
        "context",
        "time_hr",
        "time_hrs",
        "time_hours",
        "time_h",
        "hour",
        "hours",
        "time_days",
        "dosage",
        "dose_value",
        "tissue",
        "tissue_type",
        "cell_type",
        "celltypes",
    ),
    keys.SIZE_FACTOR: (
        "total_umis_full_transcriptome",
        "total_umis",
        "total_umi",
        "ncounts",
        "n_counts",
        "total_counts",
        "ncount_rna",
        "numi",
        "numis",
        "n_umi",
        "n_umis",
        "umi_count",
        "umi_counts",
        "library_size",
        "lib_size",
        "full_library_size",
        "umis",
        "num_umis",
        "umi_sum",
        "umi_total",
        "umis_total",
        "sum_umis",
        "total_umi_count",
        "total_umi_counts",
        "n_count",
        "ncounts_rna",
        "ncount_originalexp",
        "numi_rna",
        "total_count",
        "total_counts_full",
        "total_counts_all",
        "n_counts_all",
        "counts_per_cell",
        "rna_counts",
        "gex_umis",
        "gex_umi_count",
        "tscp_count",
        "transcript_count",
        "transcripts",
        "n_transcripts",
        "total_transcripts",
        "n_molecules",
        "sum",
        "total",
        RECOVERED_LIBRARY,
    ),
}
"""Part of the design -> usual names of its column, folded as `folded` does, the first in the file is tried
first.
"""
WORDS = {
    keys.BATCH: "batch",
    keys.DONOR: "donor",
    keys.GUIDE: "guide",
    keys.CONDITION: "condition",
    keys.SIZE_FACTOR: "size factor",
}


def like_batches(obs: pd.DataFrame, taken: set[str | None]) -> Iterator[str]:
    """Further columns of text or whole numbers that are no outcome of the cells, going by their names."""
    from pandas.api import types

    for name in obs.columns:
        if not isinstance(name, str) or name in taken or (obs.columns == name).sum() != 1:
            continue
        dtype = obs[name].dtype
        number = types.is_float_dtype(dtype) or types.is_bool_dtype(dtype)
        if not number and not _NO_BATCH.search(fold(name)):
            yield name


_NO_BATCH = re.compile(
    r"cluster|leiden|louvain|phase|cycle|doublet|singlet|multiplet|scrublet|state|snnres|annot|predict|score|"
    r"qc|quality|pass|filter|outlier|keep|mixscape|respon|umap|module|topic|program|confid|class|subtype|"
    r"lineage|ploidy|viab|dead|artifact|split|ngenes|nfeature|numi|count|umis|celltype|ontology|"
    r"guide|grna|sgrna|protospacer|barcode|construct|target|gene|perturb|crispr|feature|element|hit|truth|"
    r"infect|moi$|control|label"
)
"""Names, folded, of what cells turned out to be, or of what was done to their genes."""


def usually_called(obs: pd.DataFrame, part: str, taken: set[str | None]) -> Iterator[str]:
    """Columns of obs with a usual name, in the order of the names; as written before folded, each once. Last
    come those that are a usual name and a word for which one of them it is: batch_number, donorName.
    """
    names = [name for name in obs.columns if isinstance(name, str) and (obs.columns == name).sum() == 1]
    order = {name: place for name in names if (place := _place(part, name)) is not None}
    yield from (name for name in sorted(order, key=order.__getitem__) if name not in taken)


_WHICH = re.compile(r"(id|ids|name|names|number|num|nr|no|index|idx|label|code|group)$")


def _place(part: str, column: str) -> tuple[bool, int, bool] | None:
    """Where a column stands among those with a usual name, None where it has none."""
    usual = {fold(name): place for place, name in reversed(list(enumerate(NAMES[part])))}
    folded = fold(column)
    of_stem = folded not in usual
    place = usual.get(_WHICH.sub("", folded) if of_stem else folded)
    return None if place is None else (of_stem, place, column != NAMES[part][place])


def is_usual(part: str, column: str) -> bool:
    """Whether a column has a name that is usual for a part of the design."""
    return _place(part, column) is not None


def fold(name: str) -> str:
    """Guide-ID, guide.id, GUIDE ID, guideId -> guideid."""
    return re.sub(r"[\W_]+", "", name).casefold()
