"""Predicted cells: counts drawn from the model, in the form in which others score predictions of cells.

That form, of cell-eval and the Virtual Cell Challenge: log(counts per 10,000 + 1), natural logarithm, the
perturbed gene of every cell in obs['target_gene'], control cells named 'non-targeting'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress, tell
from gpovae_core.errors import QueryError
from gpovae_core.questions.reach import Question, question
from gpovae_core.questions.whatif import Respondent

if TYPE_CHECKING:
    from anndata import AnnData

TARGET_GENE = "target_gene"
NON_TARGETING = "non-targeting"
CELLS_EACH = 100
MOST_VALUES = 500_000_000
"""Cells times genes that are drawn at most: a few gigabytes while they are."""


def predicted_cells(
    respondent: Respondent,
    perturbations: Sequence[str] = (),
    each: int = CELLS_EACH,
    seed: int = 0,
    progress: Progress | None = None,
) -> AnnData:
    """`each` cells of every perturbation, and as many of the control, drawn from the model.

    perturbations: panel genes, or several joined by '+'; all that the model was trained on where none is
    named. Control cells are drawn too, since the model's own are what its perturbed ones differ from. Raises
    QueryError for genes outside the panel, and for those that no training cell speaks for: of these the
    network gives effects, and no cells.
    """
    panel, genes = respondent.prepared.panel, respondent.prepared.cells.var_names

    def asked(name: str) -> Question:
        return question(panel, dict.fromkeys(name.split(keys.PAIR_SEPARATOR)))

    names = [panel.canonical(name) for name in perturbations] or list(respondent.prepared.perturbations)
    if not perturbations:
        names = [name for name in names if not respondent.by_network(asked(name))]
    for name in names:
        if unseen := respondent.by_network(asked(name)):
            raise QueryError(
                f"No training cells of {', '.join(unseen)}: the network alone gives expected effects, and no "
                "cells can be drawn of them."
            )
    if each < 1 or (len(names) + 1) * each * len(genes) > MOST_VALUES:
        raise QueryError(
            f"From 1 to {max(1, MOST_VALUES // ((len(names) + 1) * len(genes))):,} cells of each can be "
            f"drawn here; got {each:,}."
        )
    import anndata
    from scipy import sparse

    blocks, labels = [], []
    for done, name in enumerate((keys.CONTROL, *names)):
        dosage = None if name == keys.CONTROL else panel.dosage(name)
        counts, library = respondent.predictor.draw_cells(dosage, each, seed + done)
        blocks.append(log_expression(sparse.csr_matrix(counts), library).astype(np.float32))
        labels += [NON_TARGETING if name == keys.CONTROL else name] * each
        tell(progress, "drawing cells", (done + 1) / (len(names) + 1))
    obs = pd.DataFrame({TARGET_GENE: labels}, index=pd.Index([f"cell{i}" for i in range(len(labels))]))
    obs[TARGET_GENE] = obs[TARGET_GENE].astype("category")
    return anndata.AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=pd.DataFrame(index=genes))
