"""What was done to the genes of a screen, read off their own expression: did it fall, rise, or stay?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from gpovae_core import keys
from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN, KNOCK_OUT, SEEN_MOVING, Kind, against, decide
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.labels.text import column_of, label_text
from gpovae_core.data.progress import Progress
from gpovae_core.data.schema import Directions
from gpovae_core.data.store import StoredCounts, columns_of
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

Direction = Literal["knock-down", "knock-out", "activation", "mixed"]

LARGEST_ERROR = 0.5
"""Natural log fold change: a target known less well than this, and not clearly changed, says nothing."""
UNMISTAKABLE = float(np.log(2))
"""Natural log fold change, and five of its standard errors, by which guides of one gene must raise and lower
it to be guides of two kinds: the mRNA of a gene that is cut by some may rise a little.
"""
MOST_TARGETS = 200
"""Perturbations that are looked at, those with the most cells: they tell the screen's direction."""
MOST_NAMED = 5
"""Perturbations that a sentence names at most."""

_STATED: dict[str, Kind] = {
    "crispr activation screen": "activation",
    "crispr interference screen": "knock-down",
    "crispr knockout mutant": "knock-out",
    "crispr knockout screen": "knock-out",
    "crispra": "activation",
    "crispri": "knock-down",
    "crisprn": "knock-out",
    "crisprko": "knock-out",
    "crispr-ko": "knock-out",
    "crispr-cas9": "knock-out",
}
"""What collections of screens write, in lower case -> what it does."""
_STATED_IN = (
    "genetic_perturbation_strategy",  # CELLxGENE
    "perturbation_type_label",  # Perturbation Catalogue
    "perturbation_type",  # scPerturb
)


def stated_kinds(obs: pd.DataFrame, labels: np.ndarray, label_column: str | None) -> Directions:
    """What the file states of every perturbation: in a usual column, by what collections write there, else in
    labels and in columns whose values say it. A perturbation of which several things are stated has no entry,
    nor has the activation of a gene that is knocked down in other cells.

    obs: columns of the file; labels: (n_obs,) canonical; label_column: where they were read.
    """
    stated: dict[str, Kind] = {}
    used: list[str] = []
    for where, column, kind_of in _statements(obs, labels, label_column):
        found: defaultdict[str, set[Kind]] = defaultdict(set)
        for label, value in _distinct(labels, column):
            if label != keys.CONTROL and not keys.is_raised(label) and (kind := kind_of.get(value)):
                found[label].add(kind)
        new: dict[str, Kind] = {
            name: own.pop() for name, own in found.items() if name not in stated and len(own) == 1
        }
        stated.update(new)
        used += [where] if new else []
    names = {label for label in set(labels) - {keys.CONTROL} if not keys.is_raised(label)}
    silent = len(names) - len(stated) if stated else 0
    return Directions(stated=dict(sorted(stated.items())), where=" and ".join(used), silent=silent)


def _statements(
    obs: pd.DataFrame, labels: np.ndarray, label_column: str | None
) -> Iterator[tuple[str, pd.Series, Mapping[object, Kind]]]:
    """(where, column, value -> what it states) of whatever may state what was done, in the order of trust."""
    for name in _STATED_IN:
        if (obs.columns == name).sum() == 1:
            column = column_of(obs, name)
            texts = {value: str(value).strip().casefold() for value in column.dropna().unique()}
            said: dict[object, Kind] = {value: _STATED[t] for value, t in texts.items() if t in _STATED}
            yield f"obs['{name}']", column, said
    if label_column is not None and (obs.columns == label_column).sum() == 1:
        column = label_text(column_of(obs, label_column))
        pairs = {(str(text), name.removesuffix(keys.ACTIVATED)) for name, text in _distinct(labels, column)}
        ways = _ways_of_labels(pairs)
        said = {text: _kind(text.replace(label, " "), way) for (text, label), way in ways.items()}
        yield f"the labels in '{label_column}'", column, said
    for name, ways in _ways_told(obs, label_column).items():
        said = {value: _kind(str(value), way) for value, way in ways.items()}
        yield f"obs['{name}']", column_of(obs, name), said


def _distinct(labels: np.ndarray, column: pd.Series) -> list[tuple[str, object]]:
    """Every label with every value of a column that goes with it, missing ones left out."""
    import pandas as pd

    found = pd.DataFrame({"label": labels, "value": column.to_numpy(dtype=object)}).dropna().drop_duplicates()
    return list(zip(found["label"], found["value"], strict=True))


def _kind(text: str, way: str) -> Kind:
    """What a text states, of which it is known whether it "raises" or "lowers"."""
    return ACTIVATION if way == "raises" else KNOCK_OUT if _CUTS.search(text) else KNOCK_DOWN


_CUTS = re.compile(
    r"(?<![^\W_])(?:crispr[\s_-]*(?:n|ko)|knock[\s_-]*outs?|kos?|loss(?:[\s_-]*of[\s_-]*function)?)(?![^\W_])",
    re.IGNORECASE,
)
_RAISES = re.compile(
    r"(?<![^\W_])(?:crispr[\s_-]*a|crispr[\s_-]*(?:sam|vpr)|activ\w*|over[\s_-]*express\w*|up[\s_-]*regulat\w*"
    r"|o/?e|gain(?:[\s_-]*of[\s_-]*function)?)(?![^\W_])",
    re.IGNORECASE,
)
_LOWERS = re.compile(
    r"(?<![^\W_])(?:crispr[\s_-]*(?:i|n|ko)|interfer\w*|repress\w*|silenc\w*|inhibit\w*|knock[\s_-]*(?:down|out)s?"
    r"|k[do]s?|down[\s_-]*regulat\w*|loss(?:[\s_-]*of[\s_-]*function)?)(?![^\W_])",
    re.IGNORECASE,
)
_LETTER = re.compile(r".+[\W_]([A-Za-z])")
"""A label that ends in a letter by itself: a guide's, or, where a gene has no others than a and i, the way it
was perturbed.
"""
_MOST_WAYS = 20
"""Values of a column that says what was done, at most."""


def _way(text: str) -> str:
    """ "raises" or "lowers" where a text says one of them, else ""."""
    raises, lowers = bool(_RAISES.search(text)), bool(_LOWERS.search(text))
    return "" if raises == lowers else "raises" if raises else "lowers"


def in_both_directions(
    obs: pd.DataFrame, labels: np.ndarray, label_column: str | None
) -> tuple[np.ndarray, list[Problem]]:
    """The labels with keys.ACTIVATED after the gene in cells where it is activated, for every gene that is
    knocked down or out in other cells, as labels say or another column of obs does; and a problem where that
    is so of a combination, of which it is not known which of its genes is raised.

    obs: columns of the file; labels: (n_obs,) canonical; label_column: where they were read. Cells that say
    nothing of a gene that others say is activated are those where it is not.
    """
    ways, said = _told(obs, labels, label_column)
    kinds = set(zip(labels, ways == "raises", strict=True))
    both = {label for label, raised in kinds if raised and (label, False) in kinds} - {keys.CONTROL}
    pairs = sorted(label for label in both if keys.PAIR_SEPARATOR in label)
    result = labels.copy()
    up = (ways == "raises") & np.isin(labels.astype(str), sorted(both - set(pairs)))
    result[up] = labels[up] + keys.ACTIVATED
    if not pairs:
        return result, []
    example = sorted(set(said[(labels == pairs[0]) & (ways != "")]))[:2]
    return result, [
        Problem(
            "both-directions",
            f"{counted(len(pairs), 'combination')} {'is' if len(pairs) == 1 else 'are'} activated in some "
            f"cells and knocked down or out in others, as {pairs[0]} is ({' and '.join(example)}): taken "
            "together they would be the effect of neither.",
            "Keep the cells of combinations of one direction in a file of their own, and train on each.",
        )
    ]


def by_guides(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: np.ndarray,
    totals: np.ndarray,
    guide: np.ndarray,
    batch: np.ndarray | None,
    least: int,
) -> np.ndarray:
    """The labels with keys.ACTIVATED after a gene in the cells of those guides that raise it, for genes that
    other guides lower, both unmistakably (UNMISTAKABLE), if either have at least so many cells.

    guide: (n_obs,) number of its guide, -1 where it is not known; others: as in `own_changes`.
    """
    column = {gene: i for i, gene in enumerate(genes)}
    codes = np.zeros(len(labels), dtype=int) if batch is None else np.unique(batch, return_inverse=True)[1]
    names, number = np.unique(labels.astype(str), return_inverse=True)
    rows_of = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    cells = dict(zip(names.tolist(), rows_of, strict=True))
    controls, result = cells.pop(keys.CONTROL, np.zeros(0, dtype=int)), labels.copy()
    targets = [name for name in cells if name in column and len(np.unique(guide[cells[name]])) > 1]
    own = columns_of(counts, np.array([column[gene] for gene in targets], dtype=int)).tocsc()
    totals = np.maximum(totals, 1.0)
    for place, gene in enumerate(targets):
        share = own[:, [place]].toarray().ravel() / totals
        rows = cells[gene][guide[cells[gene]] >= 0]
        found = {}
        for one in np.unique(guide[rows]):
            change, error = log_ratio(share, totals, codes, rows[guide[rows] == one], controls)
            found[one] = change, error
        clear = [change for change, error in found.values() if abs(change) > max(UNMISTAKABLE, 5 * error)]
        if not clear or min(clear) > 0 or max(clear) < 0:
            continue
        up = rows[np.isin(guide[rows], [one for one, (change, _) in found.items() if change > 0])]
        if min(len(up), len(cells[gene]) - len(up)) >= least:
            result[up] = gene + keys.ACTIVATED
    return result


def _told(obs: pd.DataFrame, labels: np.ndarray, label_column: str | None) -> tuple[np.ndarray, np.ndarray]:
    """(n_obs,) "raises", "lowers" or "" for every cell, and the words that say so."""
    import pandas as pd

    ways, said = np.full((2, len(labels)), "", dtype=object)
    if label_column is not None and (obs.columns == label_column).sum() == 1:
        text = label_text(column_of(obs, label_column)).to_numpy()
        pairs = list(zip(text, labels, strict=True))
        found = _ways_of_labels(set(pairs))
        ways[:] = [found.get(pair, "") for pair in pairs]
        said[:] = np.where(ways == "", "", text)
    for name, values in _ways_told(obs, label_column).items():
        column = column_of(obs, name)
        told = column.map(values).fillna("").to_numpy(dtype=object)
        here = (told != "") & (ways == "")
        ways[here] = told[here]
        said[here] = [f"{value} in '{name}'" for value in pd.Series(column).astype(str).to_numpy()[here]]
    return ways, said


def _ways_of_labels(pairs: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(label as written, canonical label) -> "raises" or "lowers", where it says one of them."""
    found: dict[tuple[str, str], str] = {}
    letters: dict[str, dict[str, str]] = {}
    for text, label in pairs:
        if way := _way(text.replace(label, " ")):
            found[text, label] = way
        elif letter := _LETTER.fullmatch(text):
            letters.setdefault(label, {})[text] = letter[1].casefold()
    for label, own in letters.items():
        told = {way for (_, other), way in found.items() if other == label}
        if set(own.values()) <= {"a", "i"} and len({*own.values(), *told}) > 1:
            for text, letter in own.items():
                found[text, label] = "raises" if letter == "a" else "lowers"
    return found


def _ways_told(obs: pd.DataFrame, label_column: str | None) -> dict[str, Mapping[object, str]]:
    """Columns all of whose values, but for missing ones and controls', say what was done -> value -> way."""
    import pandas as pd

    found: dict[str, Mapping[object, str]] = {}
    for name in obs.columns:
        if name == label_column or not isinstance(name, str) or (obs.columns == name).sum() != 1:
            continue
        column = column_of(obs, name)
        if not (
            isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object or column.dtype == "str"
        ):
            continue
        values = column.dropna().unique()
        if not 1 < len(values) <= _MOST_WAYS:
            continue
        ways = {value: _way(str(value)) for value in values}
        silent = [str(value).casefold() for value, way in ways.items() if not way]
        if all(word in _NO_WAY for word in silent) and len({*ways.values()} - {""}) == 2:
            found[name] = {value: way for value, way in ways.items() if way}
    return found


_NO_WAY = {"", "control", "controls", "ctrl", "none", "nan", "na", "non-targeting", "nt", "unknown"}


def own_changes(
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: np.ndarray,
    totals: np.ndarray,
    batch: np.ndarray | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Change of every measured target in its own perturbation against the control cells of the same batches.

    counts: (n_obs, n_vars) raw; labels: (n_obs,) canonical; totals: (n_obs,) counts of each cell, of the
    whole transcriptome where known; batch: (n_obs,) codes or names. One row for each perturbation and target,
    columns perturbation, target, change (natural log of the ratio of mean shares of a cell's counts; batches
    are pooled with Mantel and Haenszel's weights, n1 n0 / (n1 + n0)) and error (first order, from the spread
    of the shares within each group). A target without a count in its cells is given half a count and the
    error of one. Targets without a count in the controls, or without controls in their batches, have no row.
    """
    import pandas as pd

    sizes = Counter(label for label in labels if label != keys.CONTROL)
    column = {gene: i for i, gene in enumerate(genes)}
    seen = [name for name in sizes if any(gene in column for gene in keys.genes_of(name))]
    chosen = sorted(seen, key=lambda name: (-sizes[name], name))[:MOST_TARGETS]
    targets = sorted({gene for name in chosen for gene in keys.genes_of(name) if gene in column})
    wanted = np.array([column[gene] for gene in targets], dtype=int)
    own = columns_of(counts, wanted, progress, "how far targets fall").tocsc()
    totals = np.maximum(totals, 1.0)
    codes = np.zeros(len(labels), dtype=int) if batch is None else np.unique(batch, return_inverse=True)[1]
    names = [*chosen, keys.CONTROL]
    cells = dict(zip(names, cells_of(labels, names), strict=True))
    rows = []
    for place, gene in enumerate(targets):
        share = own[:, [place]].toarray().ravel() / totals
        for name in chosen:
            if gene not in keys.genes_of(name):
                continue
            change, error = log_ratio(share, totals, codes, cells[name], cells[keys.CONTROL])
            if np.isfinite(change):
                rows.append({"perturbation": name, "target": gene, "change": change, "error": error})
    return pd.DataFrame(rows, columns=pd.Index(["perturbation", "target", "change", "error"]))


def log_ratio(
    share: np.ndarray, totals: np.ndarray, batch: np.ndarray, perturbed: np.ndarray, control: np.ndarray
) -> tuple[float, float]:
    """(log ratio of mean shares within batches, its standard error); NaN where the controls show nothing.

    share, totals, batch: (n_obs,) share of the gene in a cell's counts, these counts, batch codes from 0;
    perturbed, control: rows of either group.
    """
    n = int(batch.max(initial=0)) + 1
    size, mean, variance = [], [], []
    for rows in (perturbed, control):
        cells = np.bincount(batch[rows], minlength=n).astype(float)
        at_least_one = np.maximum(cells, 1.0)
        mean.append(np.bincount(batch[rows], share[rows], n) / at_least_one)
        squares = np.bincount(batch[rows], (share[rows] - mean[-1][batch[rows]]) ** 2, n)
        variance.append(squares / np.maximum(cells - 1.0, 1.0) / at_least_one)
        size.append(cells)
    weight = size[0] * size[1] / np.maximum(size[0] + size[1], 1.0)
    here, base = ((weight * part).sum() for part in mean)
    if base == 0:
        return np.nan, np.nan
    errors = [
        (weight**2 * part).sum() / (middle or 1.0) ** 2
        for part, middle in zip(variance, (here, base), strict=True)
    ]
    if here == 0:
        compared = perturbed[weight[batch[perturbed]] > 0]
        here, errors[0] = weight.sum() * 0.5 / totals[compared].sum(), 1.0
    return float(np.log(here / base)), float(np.sqrt(sum(errors)))


def read_direction(changes: pd.DataFrame, stated: Directions | None = None) -> tuple[Direction | None, str]:
    """(direction of a screen, what shows it in words) from what is stated and the `own_changes` of its
    targets; None where nothing is stated and no target is known well enough.
    """
    said = stated.stated if stated is not None else {}
    change, error = changes["change"].to_numpy(dtype=float), changes["error"].to_numpy(dtype=float)
    names = changes["perturbation"].to_numpy(dtype=object)
    told = np.array([said.get(name) for name in names], dtype=object)
    well = (error <= LARGEST_ERROR) | (np.abs(change) > SEEN_MOVING * error)
    kinds: set[Kind] = set(said.values())
    if not well.any():
        return _one_word(kinds), ""
    decided = decide(change, error, "auto", told)
    kinds |= set(decided.kind[well])
    return _one_word(kinds), _shown(names, change, decided.falling, decided.rising, int(well.sum()))


def _one_word(kinds: set[Kind]) -> Direction | None:
    return None if not kinds else next(iter(kinds)) if len(kinds) == 1 else "mixed"


def _shown(names: np.ndarray, change: np.ndarray, falling: np.ndarray, rising: np.ndarray, n: int) -> str:
    """'of 12 measured targets 10 fall clearly (typically 21 % left), 2 rise (SIM003, SIM007)'"""
    parts = []
    for rows, verb in ((falling, "fall"), (rising, "rise")):
        clearly = "" if parts else " clearly"
        if not rows.any():
            parts.append(f"none{clearly} {verb}s")
            continue
        middle = float(np.exp(np.median(change[rows])))
        few = rows.sum() <= MOST_NAMED and 2 * rows.sum() < (falling | rising).sum()
        typical = f"typically {100 * middle:.0f} % left" if verb == "fall" else f"typically to {middle:.1f} x"
        about = ", ".join(map(str, names[rows])) if few else typical
        parts.append(f"{rows.sum():,} {verb}{'s' if rows.sum() == 1 else ''}{clearly} ({about})")
    return f"of {counted(n, 'measured target')} {', '.join(parts)}"


def contradicted(changes: pd.DataFrame, stated: Directions) -> list[str]:
    """Perturbations whose own target clearly moves against what is stated of them."""
    names = changes["perturbation"].to_numpy(dtype=object)
    change, error = changes["change"].to_numpy(dtype=float), changes["error"].to_numpy(dtype=float)
    told = np.array([stated.stated.get(name) for name in names], dtype=object)
    return list(dict.fromkeys(names[against(change, error, told)].tolist()))
