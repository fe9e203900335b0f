"""How one gene acts on another, in a sentence: how much of it directly, how much through which genes."""

from __future__ import annotations

from gpovae_core.network.paths import PathTrace

MAIN = 0.02
"""Least share of the influence that a gene between must carry to be named."""
SAME = 0.05
"""Shares of two genes that differ by no more are one way over both."""
CANCELLED = 5.0
"""A way that carries more times the influence: the ways cancel, and shares are of next to nothing."""
NAMED = 2
"""Genes between that are named at most."""
OTHERS = "Other ways, and walks that pass a gene more than once"
_PARTS = (
    (0.25, 0.02, "a quarter"),
    (1 / 3, 0.025, "a third"),
    (0.5, 0.05, "half"),
    (2 / 3, 0.025, "two thirds"),
    (0.75, 0.02, "three quarters"),
)
"""Share, how near to it a share is called by the words, the words."""


def others_in_words(rest: float) -> str:
    """What the listed ways leave of the influence, as a share of it: below 0 where the others act against
    them.
    """
    if abs(rest) < 0.005:
        return f"{OTHERS}, carry less than 1 %."
    if rest < 0:
        return f"{OTHERS}, act against that, by {-100 * rest:.0f} %."
    return f"{OTHERS}, carry the remaining {100 * rest:.0f} %."


def ways_in_words(trace: PathTrace) -> str:
    """'JAK2 changes UBE2L6 half directly, half through STAT1.'

    Shares of the influence T of one source, see `PathTrace`: all edges count, whatever the threshold. A path
    over several genes counts for each of them. Where effects cancel, shares are no parts of a whole and are
    said as they are.
    """
    source, target = " and ".join(trace.sources), trace.target
    if not trace.influence:
        return f"Nothing leads from {source} to {target} within {trace.hops} hops."
    direct = trace.share_by_hops[0]
    named = [(gene, share) for gene, share in through(trace).items() if abs(share) >= MAIN][:NAMED]
    if not all(-MAIN <= share <= 1 + MAIN for share in (direct, *(share for _, share in named))):
        return _cancelling(source, target, direct, *(named[0] if named else ("", 0.0)))
    if direct >= 0.95 or not named:
        if direct >= 0.5:
            return f"{source} changes {target} {_almost(direct)} directly."
        return f"{source} changes {target} over many weak ways; {_percent(direct)} of it directly."
    ways = _in_a_row(trace, named) or [f"{part_in_words(share)} through {gene}" for gene, share in named]
    if direct < MAIN:
        return f"{source} changes {target} not directly, but {_and(ways)}."
    return f"{source} changes {target} {part_in_words(direct)} directly, {_and(ways)}."


def through(trace: PathTrace) -> dict[str, float]:
    """Gene between -> share of the influence that the listed paths over it carry, largest in size first."""
    found: dict[str, float] = {}
    for path in trace.paths:
        for gene in path.genes[1:-1]:
            found[gene] = found.get(gene, 0.0) + path.share
    return dict(sorted(found.items(), key=lambda item: -abs(item[1])))


def _in_a_row(trace: PathTrace, named: list[tuple[str, float]]) -> list[str]:
    """One way over two genes where they carry the same part, one behind the other on the best path; else
    empty.
    """
    between = next((path.genes[1:-1] for path in trace.paths if path.hops > 1), ())
    genes = sorted((gene for gene, _ in named if gene in between), key=between.index)
    shares = [share for _, share in named]
    if len(genes) < 2 or max(shares) - min(shares) > SAME:
        return []
    return [f"{part_in_words(min(shares))} through {genes[0]} and then {genes[1]}"]


def part_in_words(share: float) -> str:
    """'half', 'a third', else percent."""
    return next((words for part, near, words in _PARTS if abs(share - part) <= near), _percent(share))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _almost(direct: float) -> str:
    return "almost only" if direct >= 0.95 else f"mainly ({_percent(direct)})"


def _cancelling(source: str, target: str, direct: float, gene: str, share: float) -> str:
    if not gene:
        return f"{source} changes {target} directly, against weaker ways that take part of it away."
    both = f"{source} acts on {target} directly and through {gene}, one against the other"
    if max(abs(direct), abs(share)) > CANCELLED:
        return f"{both}, and hardly anything is left: shares of it would say nothing."
    return f"{both}: {_percent(direct)} of what is left directly, {_percent(share)} through {gene}."


def _and(parts: list[str]) -> str:
    return " and ".join(parts)
