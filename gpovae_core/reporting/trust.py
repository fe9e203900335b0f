"""How far the edges of a network can be believed: the same four numbers, in the same words and order, on the
pages and in the browser.

Each counts edges. The one that leaves most of them in doubt comes first, and the sentence on what not to
believe follows from it. The workbench counts anew at every threshold (assets/network/trust.js), with the
words from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gpovae_core.evaluation.network_scores import Network
from gpovae_core.network.overview import Overview
from gpovae_core.reporting.words import capitalised

Numbers = Mapping[str, tuple[float, int] | None]
"""Key of a measure -> how many edges, and of how many; None where that is not known."""


@dataclass(frozen=True)
class Measure:
    """One of the four. In all words {count} stands for the edges as "22 of 133", {members} for the networks
    of the ensemble, {average} for the edges that one of these has, with the threshold they are counted at.

    good: whether the edges that are counted are those to believe; about: whether the count is an estimate;
    says, limits: what the number says, and what it does not; warning: what not to believe where it is the
    weakest; short: for a line, {number} being the edges alone; unknown: why it is not there.
    """

    key: str
    good: bool
    about: bool
    says: str
    limits: str
    warning: str
    short: str
    unknown: str


MEASURES = (
    Measure(
        "detours",
        good=False,
        about=False,
        says="may run over a gene that nobody perturbed.",
        limits="Not that they do: cells with that gene perturbed would tell.",
        warning="Do not read an arrow as direct: {count} edges may run over a gene that nobody perturbed.",
        short="{number} may be indirect",
        unknown="Detours over genes that nobody perturbed: not known for this network.",
    ),
    Measure(
        "again",
        good=True,
        about=False,
        says="come back in at least half of {members} networks from other draws of the cells.",
        limits="Not that these are direct: what misleads every draw comes back, too. Such a network "
        "has {average}.",
        warning="Do not rest on a single edge: only {count} edges come back in at least half of {members} "
        "networks from other draws of the cells.",
        short="{number} come back",
        unknown="How many come back: not known, no ensemble was made.",
    ),
    Measure(
        "held",
        good=True,
        about=False,
        says="are significant in held-out cells.",
        limits="Not that the others have none: few cells show large effects only.",
        warning="Do not rest on a single edge: only {count} edges are significant in held-out cells.",
        short="{number} significant",
        unknown="Significant in held-out cells: not tested.",
    ),
    Measure(
        "false",
        good=False,
        about=True,
        says="are expected to have no effect at all.",
        limits="Not that the rest is direct: controls tell an effect from none, no more.",
        warning="Do not count these edges as effects: {count} edges are expected to have none at all.",
        short="{number} expected false",
        unknown="Expected without any effect: not estimated.",
    ),
)
NO_DOUBT = "What these numbers cannot show: an effect that is direct in the cell, and not only in the model."
"""In the place of a warning where no number gives one."""


def numbers_of(found: Overview, scores: Network | None) -> dict[str, tuple[float, int] | None]:
    """What is known of a network, by measure. scores: of its edges in held-out cells; those of another
    threshold say nothing of these edges.
    """
    if scores is not None and scores.threshold != found.threshold:
        scores = None
    rate = None if scores is None else scores.estimated_false_edge_rate
    share = None if scores is None else scores.bh_share
    tested = None if scores is None else scores.edges
    return {
        "detours": None if found.in_doubt is None else (found.in_doubt[1], found.in_doubt[0]),
        "again": None if found.again is None else (found.again, found.edges),
        "held": None if share is None or not tested else (round(share * tested), tested),
        "false": None if rate is None else (rate * found.edges, found.edges),
    }


def doubt(measure: Measure, numbers: Numbers) -> float:
    """Share of the edges that a measure leaves in doubt; -1 where it is not known."""
    pair = numbers.get(measure.key)
    if pair is None or not pair[1]:
        return -1.0
    return 1 - pair[0] / pair[1] if measure.good else pair[0] / pair[1]


def ranked(numbers: Numbers) -> list[Measure]:
    """The measures, the most sobering first, those that are not known last."""
    return sorted(MEASURES, key=lambda one: -doubt(one, numbers))


def counted(measure: Measure, numbers: Numbers) -> str:
    """'22 of 133'; an estimate as 'about 6 of 133', or 'fewer than 1 of 60'."""
    pair = numbers[measure.key]
    assert pair is not None
    number, of = pair
    if not measure.about:
        return f"{number:,.0f} of {of:,}"
    return f"about {number:,.0f} of {of:,}" if number >= 0.5 else f"fewer than 1 of {of:,}"


def trust_in_words(numbers: Numbers, members: int | None) -> str:
    """What not to believe, then the other numbers: 'Do not read an arrow as direct: 119 of 133 edges may ...
    22 of 133 come back ...'; "" where nothing is known. members: networks of the ensemble.
    """
    known = [one for one in ranked(numbers) if doubt(one, numbers) >= 0]
    if not known:
        return ""
    rest = known[1:] if doubt(known[0], numbers) > 0 else known
    told = [f"{counted(one, numbers)} {one.says.removesuffix('.').format(members=members)}" for one in rest]
    also = f" {capitalised('; '.join(told))}." if told else ""
    return f"{warning(numbers, members)}{also}"


def warning(numbers: Numbers, members: int | None) -> str:
    """What not to believe: the sentence of the number that leaves most edges in doubt."""
    worst = ranked(numbers)[0]
    if doubt(worst, numbers) <= 0:
        return NO_DOUBT
    return worst.warning.format(count=counted(worst, numbers), members=members)


def for_browser() -> dict[str, object]:
    """The same words for the workbench, which counts at every threshold itself."""
    return {"measures": [asdict(one) for one in MEASURES], "no_doubt": NO_DOUBT}
