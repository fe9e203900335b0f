"""What a score has to be compared with: predictions that need no model, and the most that the reference's
noise allows.

Why both: on held-out cells the published model scored 0.54 to 0.75 where the plain mean of the training cells
scored 0.64 to 0.81 and the data agreed with itself by 0.65 to 0.82 (MODEL.md section 5).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.expression import log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import rows_of
from gpovae_core.effects.averages import beside_controls
from gpovae_core.effects.design import Design
from gpovae_core.evaluation.response import mean, median

Expression = sparse.csr_matrix | np.ndarray

_LEFT = 0.99
"""Of the way to the principal components after every product, as progress shows it."""
EMBEDDING_CELLS = 20_000
"""Training cells behind the gene embeddings of the linear model at most; more of them do not change its
components.
"""
_PIECES = 8
"""Of its matrix, that are multiplied at once."""
EMBEDDING_SIZES = (2, 5, 10, 20, 40)
RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Choices of the linear model, tried on the validation cells."""


def baseline_predictions(training: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Predictions without a model, from the effects in the training cells: name -> (perturbations x genes).

    training: (perturbations x genes), a row of NaN where a perturbation has no training cells (unseen ones).
    `additive` is there where the data have combinations.
    """
    predictions = {
        "train_mean": training,
        "perturbation_mean": perturbation_mean(training),
        "own_only": own_only(training),
        "no_effect": no_effect(training),
    }
    if any(keys.PAIR_SEPARATOR in str(name) for name in training.index):
        predictions["additive"] = additive(training)
    return predictions


def additive(training: pd.DataFrame) -> pd.DataFrame:
    """A combination as the sum of the effects that its genes have alone; a single gene as its training mean.

    NaN for a combination of which a gene was never perturbed alone.
    """
    rows = [
        training.reindex(str(name).split(keys.PAIR_SEPARATOR)).sum(axis=0, skipna=False)
        for name in training.index
    ]
    return pd.DataFrame(np.stack(rows), index=training.index, columns=training.columns)


@dataclass(frozen=True)
class LinearModel:
    """prediction: (perturbations x genes); components, ridge: as chosen on the validation cells; None where
    nothing could be fitted.
    """

    prediction: pd.DataFrame
    components: int | None
    ridge: float | None


def linear_model(
    prepared: PreparedCells,
    expression: Any,
    training: pd.DataFrame,
    validation: pd.DataFrame,
    seed: int = 0,
    progress: Progress | None = None,
) -> LinearModel:
    """Effects as a bilinear function of gene embeddings: E = b + P W G', both ridge-regressed in closed form.

    G (genes x k): scores of the genes in a PCA of training cells (`gene_embedding`); P: the rows of G of the
    perturbed genes, summed for a combination, turned round where the gene is raised beside cells where it is
    knocked down; b: mean effect over perturbations. As in Ahlmann-Eltze, Huber
    and Anders (Nature Methods 2025), with k and the ridge chosen by squared error on `validation`. It
    predicts perturbations without cells too; one whose gene is not measured gets b. expression:
    `log_expression` of all cells; training, validation: (perturbations x genes) effects there.
    """
    genes = list(training.columns)
    names = [str(name) for name in training.index]
    fitted = np.flatnonzero(np.isfinite(training.to_numpy()).all(axis=1))
    empty = LinearModel(perturbation_mean(training), None, None)
    known = [row for row in fitted if all(part in training.columns for part in keys.genes_of(names[row]))]
    embedding = gene_embedding(
        rows_of(expression, np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))),
        max(EMBEDDING_SIZES),
        seed,
        progress,
    )
    if len(known) < 2 or embedding.shape[1] == 0:
        return empty
    place = {gene: i for i, gene in enumerate(genes)}
    parts = [[place[part] for part in keys.genes_of(name) if part in place] for name in names]
    sign = [-1.0 if keys.is_raised(name) else 1.0 for name in names]
    dose = np.stack([up * embedding[own].sum(axis=0) for own, up in zip(parts, sign, strict=True)])
    values = training.to_numpy()
    base = values[fitted].mean(axis=0)
    truth = validation.loc[training.index, training.columns].to_numpy()
    judged = np.isfinite(truth).all(axis=1)
    best: tuple[float, np.ndarray, int, float] | None = None
    for size in sorted({min(size, embedding.shape[1]) for size in EMBEDDING_SIZES}):
        for ridge in RIDGES:
            weights = bilinear_weights(embedding[:, :size], dose[known, :size], values[known] - base, ridge)
            guess = base + dose[:, :size] @ weights @ embedding[:, :size].T
            error = float(((guess - truth)[judged] ** 2).sum())
            if best is None or error < best[0]:
                best = (error, guess, size, ridge)
    assert best is not None
    return LinearModel(
        pd.DataFrame(best[1], index=training.index, columns=training.columns), best[2], best[3]
    )


def bilinear_weights(
    genes: np.ndarray, perturbations: np.ndarray, effects: np.ndarray, ridge: float
) -> np.ndarray:
    """(k, k) W = (P'P + r I)^-1 P' E G (G'G + r I)^-1, so that P W G' is near E.

    genes: (G, k), perturbations: (p, k), effects: (p, G).
    """
    k = genes.shape[1]
    left = np.linalg.solve(
        perturbations.T @ perturbations + ridge * np.eye(k), perturbations.T @ effects @ genes
    )
    return np.linalg.solve(genes.T @ genes + ridge * np.eye(k), left.T).T


def gene_embedding(expression: Any, size: int, seed: int = 0, progress: Progress | None = None) -> np.ndarray:
    """(genes, k) scores of the genes in a PCA of cells, k at most `size`: right singular vectors times
    singular values over sqrt(cells).

    expression: CSR (cells, genes), of which at most EMBEDDING_CELLS are drawn. Columns in falling order of
    variance.
    """
    rng = np.random.default_rng(seed)
    cells = expression.shape[0]
    rows = (
        np.arange(cells)
        if cells <= EMBEDDING_CELLS
        else np.sort(rng.choice(cells, EMBEDDING_CELLS, replace=False))
    )
    k = min(size, len(rows) - 1, expression.shape[1] - 1)
    if k < 1:
        return np.zeros((expression.shape[1], 0))
    # as float32: half as long, and seven digits of a baseline are enough
    drawn = sparse.csr_matrix(expression[rows], dtype=np.float32)
    values, right = _singular(drawn, k, seed, progress)
    return (right.T * values / np.sqrt(len(rows))).astype(np.float64)


def _singular(
    expression: sparse.csr_matrix, k: int, seed: int, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) largest singular values of the centred matrix, which is never made, in falling order, and (k,
    genes) their right vectors, the largest entry of each positive. ARPACK, as scikit-learn's PCA calls it,
    with a word after every product: nobody knows how many it takes.
    """
    mean = np.asarray(expression.mean(axis=0)).ravel()
    cells, genes, products = _in_rows(expression), _in_rows(expression.T.tocsr()), 0

    def told(values: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        tell(progress, "baselines: principal components", 1 - _LEFT**products)
        return values

    class Centred(LinearOperator):
        def _matvec(self, x: np.ndarray) -> np.ndarray:
            return told(_product(cells, x) - mean @ x)

        def _rmatvec(self, x: np.ndarray) -> np.ndarray:
            return _product(genes, x) - mean * x.sum()

    centred = Centred(expression.dtype, expression.shape)
    start = np.random.RandomState(seed).uniform(-1, 1, min(len(expression.getnnz(axis=1)), len(mean)))
    _, values, right = svds(centred, k=k, tol=0, v0=start.astype(expression.dtype))
    order = np.argsort(-values)
    right = np.asarray(right)[order]
    largest = right[np.arange(k), np.abs(right).argmax(axis=1)]
    return values[order], right * np.where(largest < 0, -1.0, 1.0)[:, None]


def _in_rows(matrix: Any) -> list[Any]:
    """The matrix in pieces that can be multiplied at once."""
    bounds = np.linspace(0, matrix.shape[0], _PIECES + 1).astype(int)
    return [matrix[low:high] for low, high in itertools.pairwise(bounds)]


def _product(pieces: list[Any], x: np.ndarray) -> np.ndarray:
    return np.concatenate(list(at_once(lambda piece: piece @ x, pieces)))


def own_only(training: pd.DataFrame) -> pd.DataFrame:
    """The training mean of the perturbed genes themselves and zero for every other: how far a knock-down's
    own fall goes. A row of NaN stays one.
    """
    own = target_mask([str(name) for name in training.index], training.columns)
    values = training.to_numpy()
    known = np.isfinite(values).all(axis=1, keepdims=True)
    return pd.DataFrame(
        np.where(known, np.where(own, values, 0.0), np.nan), index=training.index, columns=training.columns
    )


def target_mask(names: Sequence[str], genes: pd.Index) -> np.ndarray:
    """(perturbations, genes) bool: is this gene perturbed there? Of a combination each of its genes is."""
    rows = [genes.isin(keys.genes_of(name)) for name in names]
    return np.stack(rows) if rows else np.zeros((0, len(genes)), dtype=bool)


def no_effect(like: pd.DataFrame) -> pd.DataFrame:
    """Zero for every gene under every perturbation. Its correlation is undefined; its R2 is not."""
    return pd.DataFrame(0.0, index=like.index, columns=like.columns)


def perturbation_mean(training: pd.DataFrame) -> pd.DataFrame:
    """The same row for every perturbation: the mean over all perturbations of their effects in the training
    cells.

    The plain mean, as published, so a perturbation counts in its own prediction. Unseen ones get a row too.
    """
    average = training.dropna(how="any").to_numpy()
    row = average.mean(axis=0) if len(average) else np.full(training.shape[1], np.nan)
    return pd.DataFrame(np.tile(row, (len(training), 1)), index=training.index, columns=training.columns)


@dataclass(frozen=True)
class Reliability:
    """How far a reference agrees with itself, and the ceiling that follows; NaN = undefined.

    split_half: mean Pearson of the effects in two random halves of the cells, pooled over perturbation x
    gene; ceiling: the Pearson that the true effects would reach with the whole reference, see `attainable`;
    per_perturbation: that ceiling for the Pearson within one perturbation, NaN where its halves show no
    common signal; median_ceiling: their median for the median score. A perturbation without common signal
    counts there as 0, the nearest possible value: it pulls the median score down as well. *_without_own: the
    same without the columns of the perturbed genes in their own rows.
    """

    split_half: float
    ceiling: float
    median_ceiling: float
    per_perturbation: pd.Series
    ceiling_without_own: float
    median_ceiling_without_own: float


def attainable(split_half: np.ndarray | float) -> np.ndarray:
    """Correlation of noiseless truth with the whole reference, from the correlation r of its two halves:
    sqrt(2r / (1 + r)).

    Write a reference as truth plus noise with variances T and E over the entries. Halves have twice the noise
    and share none, so r = T / (T + 2E), and the whole has reliability T / (T + E) = 2r / (1 + r)
    (Spearman-Brown). A perfect predictor has correlation sqrt(T / (T + E)) with it: the noise is the
    reference's alone. NaN for r <= 0, where the halves show no common signal. Not a bound for a predictor
    that saw the reference's own cells: it shares their noise.
    """
    r = np.asarray(split_half, dtype=np.float64)
    defined = r > 0
    inside = np.divide(2 * r, 1 + r, out=np.full(r.shape, np.nan), where=defined)
    return np.sqrt(inside)


def reliability(
    prepared: PreparedCells,
    splits: tuple[str, ...],
    halvings: int = 20,
    seed: int = 0,
    expression: sparse.csr_matrix | None = None,
    progress: Progress | None = None,
) -> Reliability:
    """Split-half correlation and ceiling of the observed effects over the cells of `splits`.

    halvings: random halvings, each stratified by perturbation, control cells halved too, within their batch
    and donor. expression: `log_expression` of all cells where it is at hand. Perturbations with a single cell
    there cannot be halved and do not enter.
    """
    kept = prepared.where(splits=splits)
    values = log_expression(prepared.counts, prepared.library_size) if expression is None else expression
    labels, stratum = np.where(kept, prepared.labels, ""), Design.of(prepared).stratum
    targets = target_mask(prepared.perturbations, prepared.cells.var_names)
    whole, without = _correlations_of_halves(
        values, labels, prepared.perturbations, halvings, seed, stratum, (None, targets), progress
    )
    split_half, ceiling, median_ceiling, each = _ceilings(*whole)
    _, ceiling_without, median_without, _ = _ceilings(*without)
    return Reliability(
        split_half=split_half,
        ceiling=ceiling,
        median_ceiling=median_ceiling,
        per_perturbation=pd.Series(each, index=list(prepared.perturbations)),
        ceiling_without_own=ceiling_without,
        median_ceiling_without_own=median_without,
    )


def _ceilings(pooled: np.ndarray, each: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """Split-half correlation, ceiling, median ceiling and those of the perturbations, of what
    `split_half_correlations` gives.
    """
    own = _mean(each)
    ceilings = attainable(own)
    split_half = float(_mean(pooled[:, None])[0])
    return split_half, float(attainable(split_half)), median(np.where(own <= 0, 0.0, ceilings)), ceilings


def noise_draws(
    expression: Any,
    labels: np.ndarray,
    perturbations: tuple[str, ...],
    draws: int,
    seed: int,
    stratum: np.ndarray | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """(draws, perturbations, genes) draws of the sampling error of observed effects (log2 units), without any
    assumption on its shape.

    Half the difference of the effects in two random halves of the cells has the variance of the error of
    their mean, the common error of the shared controls included. Rows of NaN where there are fewer than two
    cells. expression: natural logarithms, (cells, genes); stratum: (cells,) as in `split_half_correlations`.
    """
    result = np.full((draws, len(perturbations), expression.shape[1]), np.nan)
    for row, (first, second) in _half_effects(expression, labels, perturbations, draws, seed, stratum):
        result[:, row] = (first - second).T / 2
        tell(progress, "halves of the cells", (row + 1) / len(perturbations))
    return result / np.log(2)


def attainable_scores(
    effects: np.ndarray,
    trust: np.ndarray,
    noise: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], dict[str, float]],
    each: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """What the true effects themselves would score against a reference as noisy as this one; mean over the
    draws, NaN where undefined.

    effects: (p, G) best known effects (all cells); trust: (p,) their correlation with the truth
    (`Reliability.per_perturbation`; 0 or NaN where halves share no signal), by which they are shrunk to the
    variance that is signal, to stand in for the truth; noise: (draws, p, G) of `noise_draws`; score:
    observed, predicted -> named scores; each: called after every draw.
    """
    truth = effects * np.nan_to_num(trust)[:, None]

    def of_draw(error: np.ndarray) -> dict[str, float]:
        return score(truth + error, np.where(np.isfinite(error), truth, np.nan))

    scores = []
    for found in at_once(of_draw, noise):
        scores.append(found)
        each()
    if not scores:
        return {}
    return {name: mean(np.array([one[name] for one in scores])) for name in scores[0]}


def split_half_correlations(
    expression: Expression,
    labels: np.ndarray,
    perturbations: tuple[str, ...],
    halvings: int,
    seed: int,
    left_out: np.ndarray | None = None,
    stratum: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson of the effects (mean - control mean) in two halves of the cells: pooled (halvings,), each
    (halvings, perturbations).

    expression: (cells, genes); cells with a label not named here are ignored; left_out: (perturbations,
    genes) bool, effects that do not count; stratum: (cells,) batch and donor, None for one of all: a half is
    compared with a half of the controls of its strata, as `effects.averages` compares. All halvings of a
    perturbation come from one product of its cells with a (cells x halvings) matrix of halves, so every
    stored count is visited once.
    """
    return _correlations_of_halves(
        expression, labels, perturbations, halvings, seed, stratum, (left_out,), None
    )[0]


def _correlations_of_halves(
    expression: Expression,
    labels: np.ndarray,
    perturbations: tuple[str, ...],
    halvings: int,
    seed: int,
    stratum: np.ndarray | None,
    left_out: Sequence[np.ndarray | None],
    progress: Progress | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`split_half_correlations` for each of `left_out`, from the same halves."""
    each = np.full((len(left_out), halvings, len(perturbations)), np.nan)
    sums = np.zeros((len(left_out), 5, halvings))
    entries = np.zeros(len(left_out), dtype=int)
    for column, halves in _half_effects(expression, labels, perturbations, halvings, seed, stratum):
        for place, mask in enumerate(left_out):
            first, second = halves if mask is None else (side[~mask[column]] for side in halves)
            moments = _moments(first, second)
            each[place, :, column] = _correlation(moments, len(first))
            sums[place] += moments
            entries[place] += len(first)
        tell(progress, "halves of the cells", (column + 1) / len(perturbations))
    return [
        (_correlation(one, int(count)), found) for one, count, found in zip(sums, entries, each, strict=True)
    ]


def _half_effects(
    expression: Expression,
    labels: np.ndarray,
    perturbations: tuple[str, ...],
    halvings: int,
    seed: int,
    stratum: np.ndarray | None,
) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """(place in `perturbations`, effects in either half of the cells, (genes, halvings) each), of those with
    two cells that controls of their stratum stand beside.
    """
    rng = np.random.default_rng(seed)
    stratum = np.zeros(len(labels), dtype=int) if stratum is None else stratum
    compared = beside_controls(labels, stratum)
    controls, *own = cells_of(labels, (keys.CONTROL, *perturbations), compared)
    held = np.unique(stratum[controls])
    base = []
    for one in held:
        cells = controls[stratum[controls] == one]
        halves = _halves(len(cells), halvings, rng)
        if halves is None:
            return
        base.append(_means(expression, cells, halves))
    if not base:
        return

    def drawn() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for place, cells in enumerate(own):
            halves = _halves(len(cells), halvings, rng)
            if halves is not None:
                yield place, cells, halves

    def effects(piece: tuple[int, np.ndarray, np.ndarray]) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        place, cells, halves = piece
        found = list(_means(expression, cells, halves))
        for one, of_controls in zip(held, base, strict=True):
            inside = stratum[cells] == one
            for side, half in enumerate((halves, ~halves)):
                found[side] -= of_controls[side] * (half[inside].sum(axis=0) / half.sum(axis=0))
        return place, (found[0], found[1])

    yield from at_once(effects, drawn())


def _halves(cells: int, halvings: int, rng: np.random.Generator) -> np.ndarray | None:
    """(cells, halvings) bool: the first half; None with fewer than two cells."""
    return None if cells < 2 else rng.random((cells, halvings)).argsort(axis=0) < cells // 2


def _means(expression: Expression, rows: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean expression in the cells of either half, (genes, halvings) each. first: of `_halves`."""
    cells, size = expression[rows], len(rows) // 2
    total = np.asarray(cells.sum(axis=0), dtype=np.float64).reshape(-1, 1)
    summed = np.asarray(cells.T @ first.astype(np.float64))
    return summed / size, (total - summed) / (len(rows) - size)


def _moments(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(5, halvings): sums over genes of x, y, x^2, y^2, xy."""
    return np.stack([x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)])


def _correlation(sums: np.ndarray, entries: int) -> np.ndarray:
    """(halvings,) Pearson from the sums of `_moments`; NaN where a side is constant."""
    if entries == 0:
        return np.full(sums.shape[1], np.nan)
    mean_x, mean_y, square_x, square_y, product = sums / entries
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    varies = (variance_x > 1e-13 * square_x) & (variance_y > 1e-13 * square_y)
    scale = np.sqrt(np.where(varies, variance_x * variance_y, 1.0))
    return np.where(varies, (product - mean_x * mean_y) / scale, np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over rows of the numbers in each column; NaN where a column has none."""
    number = np.isfinite(values)
    count = number.sum(axis=0)
    return np.divide(
        np.where(number, values, 0.0).sum(axis=0),
        count,
        out=np.full(values.shape[1], np.nan),
        where=count > 0,
    )
