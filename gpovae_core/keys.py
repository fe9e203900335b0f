"""Names that more than one module writes or reads, each spelled once: a typo fails at import, not in a
lookup.
"""

from __future__ import annotations

from collections.abc import Container

# Columns of `obs` in prepared cells (see data/prepare.py); the index is the cell id.
PERTURBATION = "perturbation"  # CONTROL, a gene, or genes joined by PAIR_SEPARATOR in sorted order
ARTIFACT = "artifact"  # bool, True = failed quality control
SPLIT = "split"  # TRAIN, VALIDATION, TEST or UNSEEN
CONTROL_ID = "control_id"  # cell id of the matched control of the same split; "" for control cells
LIBRARY_SIZE = "library_size"  # UMIs of the cell over the measured genes, float
# How the screen was made, where the file says so; absent otherwise (see data.design).
BATCH = "batch"
DONOR = "donor"
GUIDE = "guide"
CONDITION = "condition"
SIZE_FACTOR = "size_factor"  # counts of the cell over the whole transcriptome, float, where X is a part of it

# The design of the screen (see data/design), columns of the same `obs`, absent where a file has none.
# Text, categorical; UNKNOWN where the file says nothing of a cell.
BATCH = "batch"
DONOR = "donor"
GUIDE = "guide"
CONDITION = "condition"
SIZE_FACTOR = "size_factor"  # UMIs of the cell over the whole transcriptome, float
UNKNOWN = "unknown"

GUIDE_UMIS = "guide_umis"  # obsm of cells as read: guide UMIs, a DataFrame (cells x guides)
READER_NOTES = "gpovae_reader_notes"  # uns of cells as read: sentences about what was read, for the report

CONTROL = "control"
PAIR_SEPARATOR = "+"
ACTIVATED = " (activated)"
"""After the name of a gene that is knocked down in other cells: the perturbation of those where it is raised.
Two perturbations then speak for one row of W, and the one without this ending is the knock-down.
"""


def genes_of(perturbation: str) -> tuple[str, ...]:
    """The genes that are perturbed under a label, in its order."""
    return tuple(part.removesuffix(ACTIVATED) for part in perturbation.split(PAIR_SEPARATOR))


def is_raised(perturbation: str) -> bool:
    """Whether a label stands for the activation of a gene that is knocked down in other cells."""
    return perturbation.endswith(ACTIVATED)


def directions_of(gene: str, among: Container[str]) -> tuple[str, ...]:
    """The perturbations of one gene alone that are `among` some: its knock-down (or what else was done to
    it), then its activation in other cells.
    """
    return tuple(name for name in (gene, gene + ACTIVATED) if name in among)


def for_reading(perturbation: str) -> str:
    """A perturbation as people read it: 'STAT1, activated'; any other name as it is."""
    if PAIR_SEPARATOR in perturbation or not is_raised(perturbation):
        return perturbation
    return f"{perturbation.removesuffix(ACTIVATED)}, activated"


TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
UNSEEN = "unseen"  # cells of perturbations held out as a whole
SPLITS = (TRAIN, VALIDATION, TEST, UNSEEN)
HELD_OUT = (TEST, UNSEEN)  # what neither the weights nor the early stop has seen

# Columns of an edge table.
SOURCE = "source"
TARGET = "target"
WEIGHT = "weight"
SIGN = "sign"
EFFECT = "effect"  # log2 fold change of mean shares when the source is perturbed
EFFECT_SE = "effect_se"
P = "p"
P_ADJUSTED = "p_adjusted"
CELLS = "cells"  # perturbed training cells behind the effect
# The same where the source is activated in cells of their own; EFFECT and CELLS are then of its knock-down,
# P and P_ADJUSTED of both together (effects.pairs.of_genes).
EFFECT_ACTIVATED = "effect_activated"
EFFECT_ACTIVATED_SE = "effect_activated_se"
P_ACTIVATED = "p_activated"
P_KNOCKED_DOWN = "p_knocked_down"
CELLS_ACTIVATED = "cells_activated"
INFLUENCE = "influence"  # T_K of the pair, where the weight is what it makes expected
STRENGTH = "strength"
STRENGTH_LOW = "strength_low"
STRENGTH_HIGH = "strength_high"
OPEN_DETOURS = "open_detours"  # genes never perturbed over which the edge may run, see network.detours
FREQUENCY = "frequency"  # share of the members of an ensemble that have the edge
WEIGHT_MEAN = "weight_mean"
WEIGHT_SD = "weight_sd"
SIGN_AGREEMENT = "sign_agreement"
# What tables of known edges say of an edge, joined by semicolons, see network.agreement.known_columns.
KNOWN_IN = "known_in"
KNOWN_SIGNS = "known_signs"
PUBLICATIONS = "publications"

# Layers of effects.h5ad: obs = perturbations, var = measured genes, values in log2(counts per 10,000 + 1)
# against control.
OBSERVED_TEST = "observed_test"
OBSERVED_ALL = "observed_all"
OBSERVED_TRAIN = "observed_train"
PREDICTED = "predicted"
RESTS_ON = "rests_on"  # column of obs: what the prediction of a row rests on, see whatif.Basis


def standard_error(layer: str) -> str:
    """Layer with the standard error of `layer` (for PREDICTED: the standard deviation over guide samples)."""
    return f"{layer}_se"


def fold(layer: str) -> str:
    """Layer with the log2 fold change of mean shares where `layer` has the difference of mean logarithms."""
    return f"{layer}_fold"


def shrunk(layer: str) -> str:
    """Layer with what is to be believed of the effects in `layer` (effects.changes.FoldTable)."""
    return f"{layer}_shrunk"


def cell_count(layer: str) -> str:
    """Column of obs in effects.h5ad: cells behind each row of an observed layer."""
    return f"{layer}_cells"


NORMAL_95 = 1.96
"""Standard deviations on either side of a 95 % interval of a normal distribution."""
