"""Every score of a run in one line: value, uninformed baseline, best simple method, ceiling, and the share of
the achievable.

Works on the scores alone, so older runs are summed up too, as far as they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gpovae_core.evaluation import predictions
from gpovae_core.evaluation.network_scores import (
    EdgeScore,
    Matched,
    Network,
    Number,
    ReferenceScores,
    TrueScores,
    TruthScores,
)
from gpovae_core.evaluation.scores import Evaluation, Line
from gpovae_core.methods import registry

PLAIN = {
    "ate_rho": "Correlation, all effects",
    "ate_rho_without_own": "Correlation, perturbed genes aside",
    "median_rho": "Correlation within a perturbation",
    "median_rho_without_own": "Correlation within, perturbed gene aside",
    "centroid_rho": "Correlation beyond the mean perturbation",
    "r2": "Size (R²), all effects",
    "r2_without_own": "Size (R²), perturbed genes aside",
    "weighted_r2": "Size (R²), genes that respond",
    "ate_rho_top20": "Correlation of the 20 largest effects",
    "jaccard_top20": "20 largest effects found",
    "jaccard_top50": "50 largest effects found",
    "de_overlap": "Changed genes found",
    "discrimination": "Perturbations told apart",
    "mu_wd": "Edges (W), how far targets move",
    "bh_share": "Edges (W), significant effects",
    "raw_share": "Edges (W), small p, not adjusted",
    "influence_mu_wd": "Influence (T_K), how far targets move",
    "influence_bh_share": "Influence (T_K), significant effects",
    "influence_raw_share": "Influence (T_K), small p, not adjusted",
    "for": "Edges (W), effects that they miss",
    "signs": "Edges (W), right sign",
    "w_direct": "Edges (W), true edges ranked first",
    "influence_direct": "Influence (T_K), true edges ranked first",
    "w_ancestors": "Edges (W), true causes ranked first",
    "influence_ancestors": "Influence (T_K), true causes ranked first",
}
"""Key of a line -> what is asked there, for a reader who knows no score."""
FEW = 10
"""With fewer usable edges of a reference nothing is said of who finds them better."""
LEAST_ROOM = 0.02
"""Below so small a distance between baseline and ceiling, as a part of the larger, a share of it says
nothing.
"""
CHANCE, ANY_PAIR, ONE_SIGN = "chance", "no edge at all", "one sign for all"
"""What stands in the place of a baseline where no method has one."""

RESPONSE = {
    "ate_rho": (
        "ATE-rho, all effects pooled",
        "correlation of predicted with observed effects over all perturbations and genes",
    ),
    "ate_rho_without_own": (
        "ATE-rho without own genes",
        "correlation over all perturbations and genes but the effect of a perturbation on its own gene, "
        "which needs no model",
    ),
    "median_rho": ("rho, median of perturbations", "correlation within each perturbation, its median"),
    "median_rho_without_own": (
        "rho, median, without own genes",
        "correlation within each perturbation but for the effect on its own gene, its median",
    ),
    "centroid_rho": (
        "rho beyond the mean perturbation",
        "correlation within each perturbation after the mean of the perturbed centroids is taken off both "
        "sides",
    ),
    "r2": (
        "R², all effects pooled",
        "share of the variance of observed effects that is predicted; below 0: worse than their mean",
    ),
    "r2_without_own": (
        "R² without own genes",
        "share of the variance that is predicted, the effect of a perturbation on its own gene left out",
    ),
    "weighted_r2": (
        "R² weighted by response, median",
        "share of the variance within each perturbation, genes weighed by how clearly they respond",
    ),
    "ate_rho_top20": (
        "ATE-rho, 20 largest effects",
        "correlation over the 20 largest observed effects of each perturbation",
    ),
    "jaccard_top20": (
        "20 largest effects shared",
        "shared over joint among the 20 largest effects of both sides",
    ),
    "jaccard_top50": (
        "50 largest effects shared",
        "shared over joint among the 50 largest effects of both sides",
    ),
    "de_overlap": (
        "DE genes found at N",
        "share of the N differentially expressed genes that are among the N largest predictions",
    ),
    "discrimination": (
        "Perturbation discrimination",
        "1 - rank / N of the true profile among all, nearest to the prediction first; own target left "
        "out; 0.5 by chance",
    ),
}
NETWORK = {
    "mu_wd": (
        "Mean Wasserstein distance of the edges",
        "how far the target moves when the source is perturbed; log(1 + counts per 10,000)",
    ),
    "bh_share": ("Edges with a significant effect", "share with Benjamini-Hochberg p below the level"),
    "raw_share": (
        "Edges with a raw p below the level",
        "true positives over edges, before any correction for the number of tests",
    ),
}
OWN = {"w": "W", "influence": "T_K"}
"""The methods whose scores are summed up -> how a line names them."""


def achieved(value: Number, baseline: Number, ceiling: Number) -> Number:
    """(value - baseline) / (ceiling - baseline): 0 at the baseline, 1 at the ceiling.

    None where one is unknown, or where there is no room between baseline and ceiling (LEAST_ROOM), whichever
    way is better.
    """
    if value is None or baseline is None or ceiling is None:
        return None
    room = ceiling - baseline
    if abs(room) <= LEAST_ROOM * max(abs(ceiling), abs(baseline)):
        return None
    return (value - baseline) / room


def plain_name(line: Line) -> str:
    """What is asked by a line, for whoever knows no score; of a line that has no such name its own."""
    return PLAIN.get(line.key, line.name)


def passes_ceiling(share: Number) -> bool:
    """Whether a share of the achievable, in whole percent, lies above the ceiling."""
    return share is not None and round(100 * share) > 100


def lines(evaluation: Evaluation) -> list[Line]:
    """Every score there is; scores that were not measured are left out."""
    return [
        *response_lines(evaluation, "test"),
        *(_network_lines(evaluation.network) if evaluation.network is not None else ()),
    ]


def response_lines(evaluation: Evaluation, reference: str) -> list[Line]:
    """The scores of the predicted effects against "test" or "all"."""
    part = evaluation.against(reference)
    whole = evaluation.held_out_words != "held-out cells" and reference == "test"
    cells = f"cells of {evaluation.held_out_words}" if whole else "cells"
    amount = f"{_count(part.perturbations)} perturbations, {_count(part.cells)} {cells}"
    compared = part.compared or {}
    found = []
    for key, (name, meaning) in RESPONSE.items():
        scores = part.by_prediction(key)
        if not scores:
            continue
        plain = "no_effect" if key == "centroid_rho" else "perturbation_mean"
        rivals = [
            one
            for one in predictions.BASELINES
            if one != plain and (compared.get(one) or 0) >= (compared.get("model") or 0)
        ]
        found.append(
            _line(
                ("response", key, name, meaning, amount),
                scores.get("model"),
                (predictions.TITLES[plain], scores.get(plain)),
                {predictions.TITLES[one]: scores.get(one) for one in rivals},
                scores.get("ceiling"),
            )
        )
    return found


def _network_lines(network: Network) -> Iterator[Line]:
    amount = f"{_count(network.edges)} edges of {_count(network.pairs)} pairs"
    same = network.at_same_edges
    if same is not None:
        random = EdgeScore(same.random.mu_wd, same.random.bh_share, same.random.raw_share)
        others = {"random": random, **same.methods}
        for key, (name, meaning) in NETWORK.items():
            scores = {method: getattr(score, key) for method, score in others.items()}
            own = getattr(network, key)
            if own is not None or any(value is not None for value in scores.values()):
                words = ("network", key, f"W: {_lowered(name)}", meaning, amount)
                yield _beside_methods(words, own, scores, scores.get(registry.ceilings().get(key, "")))
    if network.matched is not None:
        yield from _influence_lines(network, network.matched)
    meaning = (
        "share of raw p below the level among pairs without a short path: what the network misses. Less is "
        "better; its floor is the level, which pairs without any effect pass too"
    )
    yield _line(
        (
            "network",
            "for",
            "W: false omission rate",
            meaning,
            f"{_count(network.omission_pairs)} pairs without a path{_beside_null(network.for_null_controls)}",
        ),
        network.omission,
        (ANY_PAIR, network.for_any_pair),
        {},
        network.for_ceiling,
        lower=True,
    )
    for known in network.references or ():
        yield from _reference_lines(known)
    if network.truth is not None:
        yield from _truth_lines(network.truth)


def _influence_lines(network: Network, matched: Matched) -> Iterator[Line]:
    """T_K with as many pairs as W has edges."""
    curves = matched.as_measured
    if "influence" not in curves or network.edges not in matched.edges:
        return
    at = matched.edges.index(network.edges)
    amount = f"{_count(network.edges)} strongest pairs of {_count(network.pairs)}"
    for key, (name, meaning) in NETWORK.items():
        scores = {method: curve.at(key, at) for method, curve in curves.items()}
        label = f"T_K: {_lowered(name).replace('edges', 'pairs')}"
        words = ("network", f"influence_{key}", label, meaning, amount)
        ceiling = scores.get(registry.ceilings().get(key, ""))
        yield _beside_methods(words, scores["influence"], scores, ceiling)


def _reference_lines(known: ReferenceScores) -> Iterator[Line]:
    direction = "directed" if known.directed else "without direction"
    amount = (
        f"{_count(known.edges)} usable edges of {_count(known.pairs)} pairs, {_count(known.sources)} sources"
    )
    meaning = (
        f"area under precision and recall against {known.name} ({direction}); a reference is never "
        "complete, so no ceiling is known"
    )
    few = (known.edges or 0) < FEW
    scores = {name: one.auprc for name, one in known.rankings.items()}
    for method, label in OWN.items():
        own = known.rankings.get(method)
        p = None if own is None else own.p
        words = (
            f"{amount}: too few to say anything"
            if few
            else f"{amount}; shuffled references at least as good: p = {p or 1:.2g}"
            f"{_beside_null(known.null_controls)}"
        )
        yield _line(
            ("references", f"{method}_auprc", f"{label}: AUPRC, {known.name}", meaning, words),
            scores.get(method),
            (CHANCE, known.prevalence),
            {} if few else _rivals(scores),
            None,
        )


def _truth_lines(truth: TruthScores) -> Iterator[Line]:
    yield from _true_lines(truth.direct, "direct", "true direct edges")
    yield from _true_lines(truth.ancestors, "ancestors", "true ancestors, over any number of hops")
    signs = truth.signs
    meaning = "share of the true edges called whose sign, activation or repression, is right"
    yield _line(
        ("truth", "signs", "W: signs right", meaning, f"{_count(signs.edges)} true edges called"),
        signs.right,
        (ONE_SIGN, signs.one_sign_for_all),
        {},
        1.0,
    )


def _true_lines(part: TrueScores, kind: str, words: str) -> Iterator[Line]:
    amount = f"{_count(part.edges)} of {_count(part.pairs)} pairs are true"
    meaning = f"area under precision and recall for the {words}, known because the cells are simulated"
    scores = {name: one.auprc for name, one in part.rankings.items()}
    for method, label in OWN.items():
        yield _line(
            ("truth", f"{method}_{kind}", f"{label}: AUPRC, {words.split(',')[0]}", meaning, amount),
            scores.get(method),
            (CHANCE, part.prevalence),
            _rivals(scores),
            1.0,
        )


def _beside_methods(
    words: tuple[str, str, str, str, str], own: Number, scores: Mapping[str, Number], ceiling: Number
) -> Line:
    """A score of a network beside random pairs and the methods without a model. scores: by key of a
    method.
    """
    random = (registry.title("random"), scores.get("random"))
    return _line(words, own, random, _rivals(scores), ceiling)


def _rivals(scores: Mapping[str, Number]) -> dict[str, Number]:
    """Title -> score of the methods that need no model, in their order."""
    return {
        method.title: scores[method.key] for method in registry.with_role("baseline") if method.key in scores
    }


def _line(
    words: tuple[str, str, str, str, str],
    value: Number,
    baseline: tuple[str, Number],
    rivals: Mapping[str, Number],
    ceiling: Number,
    lower: bool = False,
) -> Line:
    """words: group, key, name, meaning, amount; baseline: its name and value; rivals: the same by name."""
    group, key, name, meaning, amount = words
    known = [(found, rival) for rival, found in rivals.items() if found is not None]
    best: tuple[Number, str] = (None, "")
    if known:
        best = (min if lower else max)(known, key=lambda pair: pair[0])
    return Line(
        group=group,
        key=key,
        name=name,
        meaning=meaning,
        value=value,
        baseline=baseline[1],
        baseline_name=baseline[0],
        rival=best[0],
        rival_name=best[1],
        ceiling=ceiling,
        share=achieved(value, baseline[1], ceiling),
        rival_share=achieved(best[0], baseline[1], ceiling),
        amount=amount,
        lower=lower,
    )


def _beside_null(value: Number) -> str:
    return "" if value is None else f"; relabelled controls score {value:.3f}"


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


def _count(value: int | None) -> str:
    return "no" if value is None else f"{value:,}"
