"""What needs cells, paths or tables: the evidence of the chosen gene or pair, in plain words for the card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from dashboard.network import cached
from dashboard.network.ensemble import edge_in_words
from dashboard.network.references import all_references
from dashboard.network.slider import false_edge_rate
from dashboard.shared import contents, networks
from gpovae_core.data.gene_sets import shipped_gene_sets
from gpovae_core.errors import QueryError
from gpovae_core.network.agreement import known_steps, listed_of_gene
from gpovae_core.network.cards import GeneCard, gene_card, publication_link
from gpovae_core.network.curves import STEPS
from gpovae_core.network.enrichment import over_representation, regulated_by
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import EdgeInspection, Measured, inspect_edge
from gpovae_core.network.overview import AGAIN
from gpovae_core.network.parts import Part, Parts
from gpovae_core.network.paths import PathTrace
from gpovae_core.network.references import Known, ReferenceNetwork, networks_folder
from gpovae_core.reporting.contrary import contrary_in_words
from gpovae_core.reporting.known import known_in_words, listed_in_words, sets_in_words, steps_in_short
from gpovae_core.reporting.parts import parts_in_words
from gpovae_core.reporting.sentences import responders_in_words, states_in_words, w_in_words
from gpovae_core.reporting.ways import CANCELLED, OTHERS, others_in_words, ways_in_words
from gpovae_core.reporting.words import share
from gpovae_core.runs.folder import RunFolder

DETOURS_NAMED = 5
BINS = 40
"""Points at which the distribution of expression is drawn."""
FEWEST_IN_SETS = 2
"""Measured genes that gene sets are asked about at least."""
MOST_PARTS = 8
"""Guides, batches or donors drawn at most."""
PUBLICATIONS = 4
"""Publications of an edge that are linked at most."""
WAYS_BY_SHARE = "Ways, by their share of the influence"
"""Head of the list of paths, but where they cancel."""
WAYS = 4
"""Paths named in the card at most, ..."""
LEAST = 0.005
"""... and the least share of the influence of one beside the most probable."""
OFTEN = 0.5
"""A link that fewer members of the ensemble have is a doubt."""


def of_gene(
    run: RunFolder, network: GeneNetwork, which: networks.Shown, gene: str, threshold: float
) -> dict[str, Any]:
    """What the card adds to the edges of a gene; network: what is shown, which: how that is called."""
    card = gene_card(network, gene, threshold)
    sections = [_section("", words)] if (words := _what_it_is(card)) else []
    scores = contents.evaluation(run)
    for words in (states_in_words(scores, card.gene), responders_in_words(scores, card.gene)):
        if words:
            sections.append(_section("", words))
    both = card.own_raised is not None or not card.as_raised.empty
    for own, error, done in (
        (card.own, card.own_se, "knocked down" if both else "perturbed"),
        (card.own_raised, card.own_raised_se, "activated"),
    ):
        if own is not None:
            spread = "" if error is None else f" ± {error:.2f}"
            words = f"Its own expression when it is {done}: {own:+.2f}{spread} ({card.unit})."
            sections.append(_section("", words))
    for title, effects in (
        (f"Strongest measured effects of {'knocking it down' if both else 'perturbing it'}", card.as_source),
        ("Strongest measured effects of activating it", card.as_raised),
        ("Perturbations that change it most", card.as_target),
    ):
        if not effects.empty:
            sections.append(_section(title, f"{_effects_in_words(effects)} ({card.unit})."))
    above = np.flatnonzero(network.weights[network.panel.index[card.gene]] > threshold)
    targets = [name for name in (network.panel.genes[j] for j in above) if name != card.gene]
    sections += _gene_sets("Gene sets among its targets", network, [card.gene], targets)
    tables = all_references(network.simulated)
    if tables:
        told = listed_in_words([listed_of_gene(network, card.gene, threshold, table) for table in tables])
        sections.append(_section("Known elsewhere?", *told, *_listed_of_all(run, which, threshold, tables)))
    if network.simulated:
        sections.append(_section("", "A simulated gene: there is nothing to read about it elsewhere."))
    return {"of": [gene], "sections": sections, "links": [list(link) for link in card.links.items()]}


def of_bundle(network: GeneNetwork, regulators: Sequence[str], threshold: float) -> dict[str, Any]:
    """What the card adds to the genes that share their regulators."""
    genes = regulated_by(network, regulators, threshold)
    sections = _gene_sets("Gene sets among these genes", network, regulators, genes)
    return {"of": list(regulators), "sections": sections}


def _gene_sets(
    title: str, network: GeneNetwork, regulators: Sequence[str], targets: Sequence[str]
) -> list[dict[str, Any]]:
    """One section; none where nothing can be said. Sets that are found are no surer than the edges."""
    told = gene_sets(network, targets)
    doubt = _if_they_come_back(network, regulators, targets) if len(told) > 1 else []
    return [_section(title, *doubt, *told)] if told else []


def _if_they_come_back(network: GeneNetwork, regulators: Sequence[str], targets: Sequence[str]) -> list[str]:
    """A doubt about the choice of targets, where other draws of the cells find under half of their edges."""
    if network.ensemble is None:
        return []
    rows, columns = ([network.panel.index[name] for name in names] for names in (regulators, targets))
    often = network.ensemble.frequency[np.ix_(rows, columns)]
    again = int((often >= AGAIN).sum())
    if 2 * again >= often.size:
        return []
    return [
        f"A hint at most: {again:,} of the {often.size:,} edges come back in at least half of "
        f"{network.ensemble.members} networks, so other cells would put other genes here."
    ]


def gene_sets(network: GeneNetwork, genes: Sequence[str]) -> list[str]:
    """The enriched sets, in lines; none for made-up genes, fewer than two measured ones, and names that are
    in no set.
    """
    measured = set(network.panel.data.measured)
    if network.simulated or len(measured.intersection(genes)) < FEWEST_IN_SETS:
        return []
    try:
        return sets_in_words(over_representation(network.panel, genes, shipped_gene_sets()))
    except QueryError:  # another species, or ids: nothing to say
        return []


def _listed_of_all(
    run: RunFolder, which: networks.Shown, threshold: float, tables: Sequence[ReferenceNetwork]
) -> list[str]:
    """How many of all edges at the threshold every table lists, beside how many are estimated to be false."""
    shown = networks.shown_network(run, which)
    step = min(STEPS, round(threshold / shown.top * STEPS))
    shares = cached.listed_shares(run, which, tuple(table.name for table in tables))
    words = [
        f"{one.name} {share(float(one.precision[step]))} (of all pairs {share(one.chance)})"
        for one in shares
        if one.judged[step] and one.known
    ]
    if not words:
        return []
    rate = None if which.often else false_edge_rate(cached.false_edges(run), shown)
    false = "" if rate is None or rate[step] is None else f" Estimated to be false: {share(rate[step])}."
    return [f"Of all edges at this threshold that they could list, tables list: {', '.join(words)}.{false}"]


def _section(title: str, *lines: str, kind: str = "") -> dict[str, Any]:
    return {"title": title, "lines": list(lines), "kind": kind}


def _what_it_is(card: GeneCard) -> str:
    words = [card.identifier] if card.identifier else []
    if not card.perturbed:
        words.append(
            f"{card.gene} was never perturbed, or is held out with all its cells: nothing measured speaks "
            "for edges out of it."
        )
    if card.reason:
        words.append(f"In the panel because: {card.reason}.")
    if not card.measured:
        words.append(f"{card.gene} is not measured, so nothing is known of effects on it.")
    return " ".join(words)


def _effects_in_words(effects: pd.DataFrame) -> str:
    """Gene, effect and its standard error where that is known."""
    rows = zip(effects["gene"], effects["effect"], effects["effect_se"], strict=True)
    return ", ".join(
        f"{gene} {effect:+.2f}" + (f" ± {error:.2f}" if math.isfinite(error) else "")
        for gene, effect, error in rows
    )


def of_pair(run: RunFolder, source: str, target: str) -> dict[str, Any]:
    """Everything known of source -> target. Tests of all pairs are used where they are there already."""
    network, fit = networks.network(run), networks.stage(run)
    references = all_references(network.simulated)
    found = inspect_edge(
        network,
        source,
        target,
        cached.held_out(run),
        cached.pairs_at_hand(run),
        references,
        run.settings().loss.shown_hops,
        fit,
    )
    cells = cached.parted(run)
    parts = [] if cells is None else cells.of_both(found.source, found.target)
    own = None if fit is None else float(fit.own_change[network.panel.position(source)])
    rests = None if fit is None else fit.counts_rests
    return pair_message(found, network, cached.pairs_wait(run), parts, references, own, rests)


def pair_message(
    found: EdgeInspection,
    network: GeneNetwork,
    wait: float | None = None,
    parts: Sequence[tuple[str, Parts]] = (),
    references: Sequence[ReferenceNetwork] = (),
    own_change: float | None = None,
    rests: bool | None = None,
) -> dict[str, Any]:
    """The card's part of an inspected edge. wait: seconds that testing all pairs would take, where it has to
    be asked for; parts: the effect by guide, batch and donor, each behind what was done to the source where
    that is two things, else ""; references: asked about the steps of paths; own_change: natural log fold
    change of the source when it is perturbed, None: not known; rests: as in `w_in_words`.
    """
    told = [_standing(found), w_in_words(found.weight, rests), *_ensemble_in_words(found, network)]
    sections = [_section("", *told)]
    if found.measured is None:
        sections.insert(0, _section("", found.why_not, kind="doubt"))
    sections += _held_out(found)
    if found.against_paths and found.contrary is None:
        sections.append(_section("", _against_in_words(found), kind="doubt"))
    if found.open_detours is not None:
        sections.append(_section("Direct, or through other genes?", _detours_in_words(found)))
    sections.append(_section("Known elsewhere?", *_known_elsewhere(found.known, network.simulated)))
    return {
        "of": [found.source, found.target],
        "answer": _answer(found, network),
        "contrary": "" if found.contrary is None else contrary_in_words(found.contrary),
        "cells": distributions(found),
        "parts": [forest(one, of) for of, one in parts],
        "sections": sections,
        "offer": wait,
        "links": [list(link) for link in _publications(found.known)],
        **_ways(found.trace, network, references, own_change),
    }


def _publications(known: Sequence[Known]) -> list[tuple[str, str]]:
    """Name and address of the first publications that tables name for an edge."""
    every = dict.fromkeys(each for one in known if one.found for each in one.publications)
    return [(name, address) for name in every if (address := publication_link(name))][:PUBLICATIONS]


def _answer(found: EdgeInspection, network: GeneNetwork) -> str:
    if found.trace is None:
        return "An edge from a gene to itself."
    return f"{ways_in_words(found.trace)}{_weakest_link(found.trace, network)}"


def _weakest_link(trace: PathTrace, network: GeneNetwork) -> str:
    """A doubt about the way that carries most, where under half of the ensemble have one of its links."""
    if network.ensemble is None or not trace.paths:
        return ""
    genes, index = max(trace.paths, key=lambda path: abs(path.share)).genes, network.panel.index
    again = {(a, b): network.ensemble.frequency[index[a], index[b]] for a, b in pairwise(genes)}
    (a, b), least = min(again.items(), key=lambda link: link[1])
    if least >= OFTEN:
        return ""
    return (
        f" Not sure: {a} → {b}, a link of the largest way, comes back in {100 * least:.0f} % of "
        f"{network.ensemble.members} networks of other draws of the cells"
        f"{_direct_more_often(network.ensemble.frequency[index[genes[0]], index[genes[-1]]], least)}."
    )


def _direct_more_often(direct: float, least: float) -> str:
    """How often the direct edge comes back, where that is more often than a link of the largest way: other
    draws of the cells then say the opposite of the answer. "" where it is not.
    """
    if round(100 * direct) <= round(100 * least):
        return ""
    turned = ": other draws put the parts the other way round" if direct >= OFTEN else ""
    return f", the direct edge in {100 * direct:.0f} %{turned}"


def _ways(
    trace: PathTrace | None,
    network: GeneNetwork,
    references: Sequence[ReferenceNetwork],
    own_change: float | None,
) -> dict[str, Any]:
    """The largest ways with their shares of the influence; where these would say nothing, as the ways cancel,
    with what each alone would make of the target.
    """
    if trace is None or not trace.paths:
        return {"ways": "", "paths": [], "remainder": ""}
    listed = [path for k, path in enumerate(trace.paths) if k == 0 or abs(path.share) >= LEAST][:WAYS]
    rest = 1.0 - sum(path.share for path in listed)
    folds = own_change is not None and max(abs(path.share) for path in listed) > CANCELLED

    def size(share: float) -> str:
        if not folds or own_change is None:
            return _share(share)
        return f"x {math.exp(share * trace.influence * own_change):.2f}"

    return {
        "ways": f"Ways, and what each alone would make of {trace.target}" if folds else WAYS_BY_SHARE,
        "paths": [
            {
                "genes": list(path.genes),
                "share": size(path.share),
                "known": steps_in_short(known_steps(network, path.genes, references)),
            }
            for path in listed
        ],
        "remainder": f"{OTHERS}: {size(rest)}." if folds else others_in_words(rest),
    }


def _share(share: float) -> str:
    """In percent; where effects of both signs cancel a share may be below 0 or above 1."""
    return f"{100 * share:.0f} %"


KNOCKED_DOWN, ACTIVATED = "knock-down", "activated"
"""What is done to a source that is perturbed in two directions, as the card names it."""


def distributions(found: EdgeInspection) -> dict[str, Any] | None:
    """Expression of the target in control cells and in perturbed ones, as densities from 0 to top; None where
    no cells speak.
    """
    seen = [one for one in (found.measured, found.activated) if one is not None]
    if not seen:
        return None
    name = f"{found.source} perturbed"
    alone = name if len(name) <= 11 else "perturbed"
    names = (alone if found.activated is None else KNOCKED_DOWN, ACTIVATED)
    groups = {"control": seen[0].control} | {
        name: one.perturbed
        for name, one in zip(names, (found.measured, found.activated), strict=True)
        if one is not None
    }
    top = max(float(np.max(values)) for values in groups.values()) or 1.0
    return {
        "top": top,
        "groups": [
            {
                "name": name,
                "cells": len(values),
                "mean": float(values.mean()),
                "density": _density(values, top),
            }
            for name, values in groups.items()
        ],
    }


def forest(found: Parts, of: str = "") -> dict[str, Any]:
    """The effect in every part of one kind, as it is drawn: the largest parts where there are many, and the
    one that stands out. of: what was done to the source, where that is two things.
    """
    largest = sorted(range(len(found.parts)), key=lambda k: (k != found.odd, -found.parts[k].cells))
    shown = sorted(largest[:MOST_PARTS])
    more = len(found.parts) - len(shown)
    return {
        "title": f"By {found.kind}{', ' if of else ''}{of}",
        "words": parts_in_words(found),
        "rows": [_row(found.parts[k], k == found.odd) for k in shown],
        "whole": _row(found.whole, False),
        "more": f"and {more:,} more, with fewer cells" if more else "",
    }


def _row(part: Part, odd: bool) -> dict[str, Any]:
    values = {"fold": part.fold, "low": part.low, "high": part.high}
    return {"name": part.name, "cells": part.cells, "odd": odd} | {
        name: value if math.isfinite(value) else None for name, value in values.items()
    }


def _density(values: np.ndarray, top: float) -> list[float]:
    """(BINS,) share of the cells around each of BINS points from 0 to top, smoothed over their neighbours."""
    shares = np.histogram(values, bins=BINS, range=(0.0, top))[0] / len(values)
    kernel = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9.0
    return np.convolve(shares, kernel, mode="same").round(5).tolist()


def _standing(found: EdgeInspection) -> str:
    kind = "a perturbed source" if found.perturbed else "a source never perturbed, or held out"
    words = [f"Rank {found.rank:,} of {found.of:,} pairs with {kind} (W = {found.weight:.3f})"]
    if found.strength is not None:
        words.append(f"strength S = {found.strength:+.3f}")
    if math.isfinite(found.influence):
        words.append(f"influence over all paths T = {found.influence:.3g}")
    return "; ".join(words) + "."


def _ensemble_in_words(found: EdgeInspection, network: GeneNetwork) -> list[str]:
    if network.ensemble is None:
        return []
    index = network.panel.index
    return [edge_in_words(network.ensemble, index[found.source], index[found.target])]


def _held_out(found: EdgeInspection) -> list[dict[str, Any]]:
    """What the held-out cells show: of a source that is activated in other cells both, and whether they
    agree.
    """
    if found.activated is None:
        if found.measured is None:
            return []
        told = _effect_in_words(found, found.measured, "perturbed")
        return [_section("In held-out cells", told), _section("", _tests_in_words(found.measured))]
    sections = []
    for one, done in ((found.measured, "knocked down"), (found.activated, "activated")):
        if one is not None:
            told = _effect_in_words(found, one, done), _tests_in_words(one, of_both=True)
            sections.append(_section(f"In held-out cells, {found.source} {done}", *told))
    sections.append(_both_in_words(found))
    return sections


def _both_in_words(found: EdgeInspection) -> dict[str, Any]:
    """Whether knock-down and activation agree, and the test of both together."""
    source, target, agree = found.source, found.target, found.directions_agree
    adjusted = found.activated.adjusted if found.activated is not None else None
    told = "not computed yet" if adjusted is None else p_value(adjusted)
    test = f"Test of both together, adjusted over all pairs: {told}."
    if source == target or agree is None or found.measured is None or found.activated is None:
        why = "of one of them includes 0" if found.measured is not None else "of its knock-down is not known"
        words = f"Whether both directions agree is not told: the interval {why}."
        return _section("Do both directions agree?", *([words] if source != target else []), test)
    down, up = ("raises" if one.fold > 0 else "lowers" for one in (found.measured, found.activated))
    if agree:
        words = f"Yes: knocking {source} down {down} {target}, activating it {up} it."
        return _section("Do both directions agree?", words, test)
    words = (
        f"No: {target} moves the same way in both, which no edge of one sign explains: knocking {source} "
        f"down {down} it, and activating it {up} it."
    )
    return _section("Do both directions agree?", words, test, kind="doubt")


def _effect_in_words(found: EdgeInspection, measured: Measured, done: str) -> str:
    """done: to the source."""
    if found.source == found.target:
        start = f"With {found.source} {done}, its own expression is"
    else:
        start = f"With {found.source} {done}, {found.target} is"
    if not math.isfinite(measured.fold):
        return f"{start} not seen in enough cells for an effect."
    interval = ""
    if math.isfinite(measured.low):
        sure = "" if measured.clear else " The interval includes 0: no clear effect."
        interval = f" (95 % interval {measured.low:+.2f} to {measured.high:+.2f}).{sure}"
    return f"{start} x {2**measured.fold:.2f}, log2 fold change {measured.fold:+.2f}{interval or '.'}"


def _tests_in_words(measured: Measured, of_both: bool = False) -> str:
    """of_both: the adjusted p is that of two directions together, and said elsewhere."""
    adjusted = "not computed yet" if measured.adjusted is None else p_value(measured.adjusted)
    over_all = "" if of_both else f", adjusted over all pairs {adjusted}"
    return (
        f"{len(measured.perturbed):,} perturbed cells, {len(measured.control):,} control cells. Rank test "
        f"p {p_value(measured.p)}{over_all}. Wasserstein distance {measured.wasserstein:.3f}."
    )


def p_value(p: float) -> str:
    return "below 1e-15" if p < 1e-15 else f"{p:.2g}"


def _against_in_words(found: EdgeInspection) -> str:
    told = (
        "The edge and the paths work against each other, so that little is left of either: T = "
        f"{found.influence:+.3g}."
    )
    seen = found.measured
    if seen is None or not math.isfinite(seen.low) or not seen.low <= 0 <= seen.high:
        return told
    return (
        f"{told} The edge is inferred from an effect of {found.source} that the paths predict and the cells "
        "hardly show."
    )


def _detours_in_words(found: EdgeInspection) -> str:
    source, target, genes = found.source, found.target, found.open_detours or ()
    if not genes:
        return (
            f"Of the genes never perturbed {source} changes none more than {target}: no sign of a detour "
            "over one of them."
        )
    more = f" and {len(genes) - DETOURS_NAMED:,} more" if len(genes) > DETOURS_NAMED else ""
    named = ", ".join(genes[:DETOURS_NAMED])
    return f"Not excluded: a detour over {named}{more}, never perturbed and changed more than {target}."


def _known_elsewhere(known: tuple[Known, ...], simulated: bool) -> list[str]:
    if known:
        return [*map(known_in_words, known), "Absence proves nothing: these tables hold what was studied."]
    if simulated:
        return [
            "A simulated gene is in no reference network. Load one of your own: More, Export and references."
        ]
    return [
        f"No reference network is loaded. Put tables such as TRRUST or CollecTRI into the folder "
        f"{networks_folder()}, or load one under More, Export and references."
    ]
