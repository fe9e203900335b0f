"""Names that more than one module writes or reads, each spelled once: a typo fails at import, not in a lookup."""

# Columns of `obs` in prepared cells (see data/prepare.py); the index is the cell id.
PERTURBATION = "perturbation"  # CONTROL, a gene, or genes joined by PAIR_SEPARATOR in sorted order
ARTIFACT = "artifact"  # bool, True = failed quality control
SPLIT = "split"  # TRAIN, VALIDATION, TEST or UNSEEN
CONTROL_ID = "control_id"  # cell id of the matched control of the same split; "" for control cells
LIBRARY_SIZE = "library_size"  # UMIs of the cell over the measured genes, float

CONTROL = "control"
PAIR_SEPARATOR = "+"

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
UNSEEN = "unseen"  # cells of perturbations held out as a whole
SPLITS = (TRAIN, VALIDATION, TEST, UNSEEN)

# Columns of an edge table.
SOURCE = "source"
TARGET = "target"
WEIGHT = "weight"
SIGN = "sign"

# Rows of an effects table (effects.h5ad): one per perturbation.
OBSERVED_TEST = "observed_test"
OBSERVED_ALL = "observed_all"
OBSERVED_TRAIN = "observed_train"
PREDICTED = "predicted"
