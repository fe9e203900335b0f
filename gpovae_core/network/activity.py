"""Which regulators act under a perturbation, by what their targets do? decoupler's univariate linear model.

A regulator's activity under a perturbation is the t value of the slope of all effects (over their errors) on
the signs of its edges (ulm of Badia-i-Mompel et al. 2022, package decoupler): below 0 where its targets fall.
The edges are those of a table, and those of W; W of a gene rests on its own perturbation, so it says nothing
of that one here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.methods.extras import missing, module
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import ReferenceNetwork

FEWEST_TARGETS = 5
"""Measured targets that a regulator needs."""
LEVEL = 0.05
OF_W = "W"


@dataclass(frozen=True)
class Agreement:
    """Where both networks know a regulator: pairs of it and a perturbation, correlation of the scores, and of
    those significant in both how many have the same sign.
    """

    pairs: int
    rho: float
    significant: int
    same_sign: int


@dataclass(frozen=True)
class Activities:
    """table: network (OF_W or the name of the table), perturbation, regulator, targets (measured ones), score
    (t), p_adjusted (over the regulators of one perturbation); most active first. own: of the perturbed
    regulators that the table knows, score and p_adjusted under their own perturbation, and the expected sign;
    agreement: None where no regulator is in both.
    """

    table: pd.DataFrame
    own: pd.DataFrame
    agreement: Agreement | None

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        found = self.agreement
        return {
            "activities": self.table.to_dict("records"),
            "own": self.own.to_dict("records"),
            "agreement": None
            if found is None
            else {**vars(found), "rho": found.rho if np.isfinite(found.rho) else None},
        }


def unavailable() -> str | None:
    """In words, where decoupler is not installed."""
    return missing("decoupler", "activity")


def activities(
    network: GeneNetwork,
    reference: ReferenceNetwork | None,
    threshold: float,
    perturbations: Sequence[str] = (),
) -> Activities:
    """Of all perturbations of a run, or of some. reference: a signed table beside W; None for W alone. Raises
    QueryError where decoupler is not installed, nothing was measured, or no regulator has targets enough.
    """
    if (reason := unavailable()) is not None:
        raise QueryError(f"The activity of regulators is worked out by decoupler: {reason}")
    effects = effect_scores(network)
    if perturbations:
        chosen = [network.panel.canonical(name) for name in perturbations]
        absent = [gene for gene in chosen if gene not in effects.index]
        if absent:
            raise QueryError(f"There are no measured effects of {', '.join(absent)}.")
        effects = effects.loc[chosen]
    genes = [str(gene) for gene in effects.columns]
    nets = {OF_W: edges_of_w(network, threshold, genes)}
    if reference is not None:
        nets[reference.name] = edges_of_table(reference, genes)
    scores = {name: _ulm(effects, net) for name, net in nets.items()}
    scores = {name: found for name, found in scores.items() if found is not None}
    if not scores:
        raise QueryError(
            f"No regulator has {FEWEST_TARGETS} targets among the {effects.shape[1]:,} measured genes of the "
            "panel, in W or in the table."
        )
    if OF_W in scores:
        for part in scores[OF_W]:
            _without_own(part)
    rows = [_rows(name, *found, nets[name]) for name, found in scores.items()]
    table = pd.concat(rows, ignore_index=True)
    table = table.iloc[np.argsort(-table["score"].abs().to_numpy(), kind="stable")].reset_index(drop=True)
    named = scores.get(reference.name) if reference is not None else None
    both = None if named is None or OF_W not in scores else _agreement(scores[OF_W], named)
    return Activities(table, _own(network, named), both)


def effect_scores(network: GeneNetwork) -> pd.DataFrame:
    """(perturbations x measured genes) effect over its error, 0 where nothing was measured, and on the
    perturbed gene itself, which its perturbation moves whatever it regulates. Raises QueryError without any.
    """
    panel = network.panel
    known = {} if network.measured is None else network.measured.under(panel)
    if not known:
        raise QueryError("This run has no measured effects with errors: its network stage is missing.")
    effect, error = (np.stack([pair[part] for pair in known.values()]) for part in (0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num(effect / error, posinf=0.0, neginf=0.0)
    z[np.arange(len(z)), [panel.index[keys.genes_of(name)[0]] for name in known]] = 0.0
    columns = np.flatnonzero(panel.is_measured)
    genes = np.array(panel.genes, dtype=object)
    return pd.DataFrame(z[:, columns], index=np.array(list(known), dtype=object), columns=genes[columns])


def edges_of_w(network: GeneNetwork, threshold: float, genes: Sequence[str]) -> pd.DataFrame:
    """source, target, weight: edges of W out of perturbed genes to `genes`, with their signs."""
    edges = network.edges(threshold)
    there = edges[keys.TARGET].isin(list(genes)) & (edges[keys.SIGN] != 0)
    there &= edges[keys.SOURCE].isin(list(network.panel.data.perturbed))
    found = edges.loc[there, [keys.SOURCE, keys.TARGET, keys.SIGN]].rename(columns={keys.SIGN: keys.WEIGHT})
    return found.astype({keys.WEIGHT: float}).reset_index(drop=True)


def edges_of_table(reference: ReferenceNetwork, genes: Sequence[str]) -> pd.DataFrame:
    """source, target, weight: the edges of a table to `genes` whose sign it gives. Raises QueryError for a
    table without directions or signs.
    """
    spelled = {gene.casefold(): gene for gene in genes}
    if not reference.directed:
        raise QueryError(f"{reference.name} lists pairs without a direction, so it names no regulators.")
    rows = []
    for source, target in reference.known:
        if target in spelled and source != target:
            sign = reference.knows(source, target).sign
            if sign:
                rows.append((spelled.get(source, source.upper()), spelled[target], float(sign)))
    if not rows:
        raise QueryError(
            f"{reference.name} gives no sign to an edge into a measured gene of the panel; activities need "
            "one. CollecTRI, TRRUST and DoRothEA give signs."
        )
    return _frame((keys.SOURCE, keys.TARGET, keys.WEIGHT), rows)


def _frame(columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    return pd.DataFrame({name: [row[at] for row in rows] for at, name in enumerate(columns)})


def _ulm(effects: pd.DataFrame, net: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Scores and adjusted p (perturbations x regulators); None where no regulator has targets enough."""
    if not len(net) or net[keys.SOURCE].value_counts().max() < FEWEST_TARGETS:
        return None
    ulm = module("decoupler").mt.ulm
    scores, p = ulm(effects.astype(float), net, tmin=FEWEST_TARGETS, verbose=False)
    return scores, p


def _without_own(part: pd.DataFrame) -> None:
    """Take out, in place, what W says of the perturbation that it was learned from."""
    for name, gene in _own_rows(part):
        part.loc[name, gene] = np.nan


def _own_rows(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Perturbation and regulator that are of one gene."""
    pairs = ((str(name), keys.genes_of(str(name))[0]) for name in scores.index)
    return [(name, gene) for name, gene in pairs if gene in scores.columns]


def _rows(name: str, scores: pd.DataFrame, p: pd.DataFrame, net: pd.DataFrame) -> pd.DataFrame:
    targets = net[keys.SOURCE].value_counts().to_dict()
    values = scores.to_numpy(dtype=float)
    i, j = np.nonzero(np.isfinite(values))
    regulators = scores.columns.to_numpy(dtype=object)[j]
    return pd.DataFrame(
        {
            "network": name,
            "perturbation": scores.index.to_numpy(dtype=object)[i],
            "regulator": regulators,
            "targets": [targets[regulator] for regulator in regulators],
            "score": values[i, j],
            "p_adjusted": p[scores.columns].to_numpy(dtype=float)[i, j],
        }
    )


def _own(network: GeneNetwork, found: tuple[pd.DataFrame, pd.DataFrame] | None) -> pd.DataFrame:
    """gene, score, p_adjusted, expected (sign: that of the gene's own change)."""
    columns = ("gene", "score", "p_adjusted", "expected")
    if found is None:
        return _frame(columns, [])
    scores, p = found
    rows = []
    known = {} if network.measured is None else network.measured.under(network.panel)
    for name, gene in _own_rows(scores):
        change = known[name][0][network.panel.index[gene]] if name in known else np.nan
        expected = 1 if np.isfinite(change) and change > 0.5 else -1
        rows.append((name, float(scores.loc[name, gene]), float(p.loc[name, gene]), expected))
    return _frame(columns, sorted(rows, key=lambda row: row[1]))


def _agreement(
    w: tuple[pd.DataFrame, pd.DataFrame], table: tuple[pd.DataFrame, pd.DataFrame]
) -> Agreement | None:
    shared = w[0].columns.intersection(table[0].columns)
    if not len(shared):
        return None
    one, other = (side[0][shared].to_numpy() for side in (w, table))
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3:
        return None
    clear = known & (w[1][shared].to_numpy() <= LEVEL) & (table[1][shared].to_numpy() <= LEVEL)
    varies = np.ptp(one[known]) > 0 and np.ptp(other[known]) > 0
    return Agreement(
        pairs=int(known.sum()),
        rho=float(np.corrcoef(one[known], other[known])[0, 1]) if varies else float("nan"),
        significant=int(clear.sum()),
        same_sign=int((np.sign(one) == np.sign(other))[clear].sum()),
    )
