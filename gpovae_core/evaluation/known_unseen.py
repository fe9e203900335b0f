"""Does knowledge from elsewhere predict perturbations that nobody has done? Whole perturbations held out,
predicted from the others by what tables say that they share.

A table is a matrix of genes by features: pathways and complexes that a gene is in, proteins that it binds,
the targets that it regulates. The more features a gene shares with a perturbed one (cosine), the more its
perturbation is expected to do what that one did beyond the mean over all: one part of the answer for each
table, and of a signed table of regulators a second one, the targets themselves. Their weights, none below
zero, are those that predict left-out *training* perturbations best, shrunk where that does not hold up
(questions.network_alone). Beside it: the mean alone, and the same with every table rewired, all genes keeping
their number of features and all features their number of genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpovae_core.data.progress import Progress, tell
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.known import shuffled_hits
from gpovae_core.questions.elsewhere import Elsewhere
from gpovae_core.questions.network_alone import MOST_LEFT_OUT, scaled_by_gain

FOLDS = 10
FEWEST = 10
"""Perturbations that the protocol needs."""
TOGETHER = "together"
LEAST = 0.05
"""Error, natural log fold change, that is added to every error where effects are weighed."""


@dataclass(frozen=True)
class Features:
    """What one table says of p perturbed genes. shared: (p, f) how much each has of every feature; targets:
    (p, n) sign with which it acts on a measured gene, 0 for none; None for a table that gives none.
    """

    name: str
    shared: np.ndarray
    targets: np.ndarray | None = None

    @cached_property
    def alike(self) -> np.ndarray:
        """(p, p) cosine of the features of two genes; 0 where one has none."""
        norm = np.linalg.norm(self.shared, axis=1, keepdims=True)
        unit = np.divide(self.shared, norm, out=np.zeros(self.shared.shape), where=norm > 0)
        return unit @ unit.T

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,) if self.targets is None else (self.name, f"{self.name}, its targets")

    def rewired(self, seed: int) -> Features:
        """The same with all degrees kept. A target is a feature, so that both stay together."""
        if self.targets is not None:
            moved = _rewired(self.targets != 0, seed)
            signs = np.random.default_rng(seed).permutation(self.targets[self.targets != 0])
            targets = np.zeros(moved.shape)
            targets[moved] = signs
            return Features(self.name, moved.astype(float), targets)
        return Features(self.name, _rewired(self.shared != 0, seed).astype(float))


def _rewired(hits: np.ndarray, seed: int) -> np.ndarray:
    rows = [f"gene {i}" for i in range(hits.shape[0])]
    columns = [f"feature {j}" for j in range(hits.shape[1])]
    return shuffled_hits(hits, rows, columns, seed)


@dataclass(frozen=True)
class Gain:
    """How held-out perturbations are predicted. explained: 1 - squared error over that of no effect, each
    pair weighed by how well it was measured; gain: mean over perturbations of the fall of their squared
    error, over that which the mean leaves, and error, its standard error; weights: part -> weight on all
    perturbations; kept: share of them that held up.
    """

    explained: float
    gain: float
    error: float
    weights: dict[str, float]
    kept: float


@dataclass(frozen=True)
class Asked:
    """What a table, or all of them TOGETHER, is worth. known: perturbed genes that it says anything of; true:
    with it; rewired: with each of several rewirings.
    """

    name: str
    known: int
    true: Gain
    rewired: tuple[Gain, ...]


@dataclass(frozen=True)
class KnownUnseen:
    """perturbations: how many were held out in turn; genes: measured ones; mean: 'explained' of the mean over
    the others; ceiling: what no error of the measurement leaves; tables: each by itself, then all together
    where there are several.
    """

    perturbations: int
    genes: int
    mean: float
    ceiling: float
    tables: tuple[Asked, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def measure_known(
    screen: Elsewhere,
    features: Sequence[Features],
    rewirings: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> KnownUnseen:
    """Raises QueryError with fewer than FEWEST perturbations, or where no table knows two of them."""
    p = len(screen.sources)
    if p < FEWEST:
        raise QueryError(
            f"Whether knowledge predicts a perturbation is asked of at least {FEWEST}; '{screen.name}' has "
            f"{p}."
        )
    known = [int((one.shared != 0).any(axis=1).sum()) for one in features]
    if max(known, default=0) < 2:
        raise QueryError(
            f"None of the tables knows two of the {p:,} perturbed genes of '{screen.name}'. Are both "
            "symbols, and of the same species?"
        )
    effects = _Effects.of(screen)
    asked = [(one.name, [one]) for one, some in zip(features, known, strict=True) if some > 1]
    if len(asked) > 1:
        asked.append((TOGETHER, [one for _, [one] in asked]))
    tables = []
    for number, (name, used) in enumerate(asked):
        tell(progress, f"holding out perturbations: {name}", number / len(asked))
        anything = np.any([(one.shared != 0).any(axis=1) for one in used], axis=0)
        rewired = (
            _predicted(effects, [one.rewired(seed + draw) for one in used], seed) for draw in range(rewirings)
        )
        tables.append(Asked(name, int(anything.sum()), _predicted(effects, used, seed), tuple(rewired)))
    total = effects.squares.sum()
    noise = (effects.root * np.where(effects.counted > 0, screen.error, 0.0)) ** 2
    return KnownUnseen(
        perturbations=p,
        genes=int(effects.counted.any(axis=0).sum()),
        mean=float(1 - _left(effects, [], seed).sum() / total),
        ceiling=max(0.0, float(1 - noise.sum() / total)),
        tables=tuple(tables),
    )


@dataclass(frozen=True)
class _Effects:
    """effect: (p, n), 0 where not counted; root: (p, n) root of the weight of each pair, 0 where not counted;
    counted: (p, n) 1 for measured pairs of two genes; squares: (p,) weighted squares of the effects.
    """

    effect: np.ndarray
    root: np.ndarray
    counted: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, screen: Elsewhere) -> _Effects:
        counted = np.isfinite(screen.error)
        counted[np.arange(len(screen.sources)), screen.sources] = False
        effect = np.where(counted, screen.effect, 0.0)
        root = np.where(counted, 1 / np.sqrt(np.where(counted, screen.error, 1.0) ** 2 + LEAST**2), 0.0)
        return cls(effect, root, counted.astype(float), ((effect * root) ** 2).sum(axis=1))

    def parts(self, left_out: int, rows: np.ndarray, features: Sequence[Features]) -> np.ndarray:
        """(1 + k, n) the mean over the perturbations `rows`, and what each part adds, for one that is not
        among them.
        """
        chosen = np.isin(np.arange(len(self.effect)), rows).astype(float)
        mean = (chosen @ self.effect) / np.maximum(chosen @ self.counted, 1)
        found = [mean]
        for one in features:
            alike = chosen * one.alike[left_out]
            found.append((alike @ self.effect - (alike @ self.counted) * mean) / (alike.sum() + 1.0))
            if one.targets is not None:
                # a knock-down, as most screens are: what a gene activates falls
                found.append(-one.targets[left_out])
        return np.stack(found)


def _left(effects: _Effects, features: Sequence[Features], seed: int) -> np.ndarray:
    """(p,) weighted squares that are left of every perturbation, each predicted from those of other folds."""
    p = len(effects.effect)
    order = np.random.default_rng(seed).permutation(p)
    left = np.zeros(p)
    for fold in range(min(FOLDS, p)):
        held = order[fold :: min(FOLDS, p)]
        rows = np.setdiff1d(np.arange(p), held)
        weights = _weights(effects, features, rows, seed)[0] if features else np.zeros(0)
        for one in held:
            parts = effects.parts(one, rows, features)
            guess = parts[0] + weights @ parts[1:]
            left[one] = (((effects.effect[one] - guess) * effects.root[one]) ** 2).sum()
    return left


def _predicted(effects: _Effects, features: Sequence[Features], seed: int) -> Gain:
    p = len(effects.effect)
    left, of_mean = _left(effects, features, seed), _left(effects, [], seed)
    weights, kept = _weights(effects, features, np.arange(p), seed)
    gains = 1 - left / np.maximum(of_mean, 1e-300)
    names = [name for one in features for name in one.parts]
    return Gain(
        explained=float(1 - left.sum() / effects.squares.sum()),
        gain=float(gains.mean()),
        error=float(gains.std(ddof=1) / np.sqrt(p)),
        weights=dict(zip(names, weights.tolist(), strict=True)),
        kept=kept,
    )


def _weights(
    effects: _Effects, features: Sequence[Features], rows: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """Weights of the parts on the perturbations `rows`, each left out in turn (MOST_LEFT_OUT at most)."""
    chosen = np.random.default_rng(seed).permutation(rows)[:MOST_LEFT_OUT]
    products, against = [], []
    for one in chosen:
        parts = effects.parts(one, rows[rows != one], features) * effects.root[one]
        rest = effects.effect[one] * effects.root[one] - parts[0]
        products.append(parts[1:] @ parts[1:].T)
        against.append(parts[1:] @ rest)
    return scaled_by_gain(np.stack(products), np.stack(against))
