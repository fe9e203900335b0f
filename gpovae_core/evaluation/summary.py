"""Every score of a report in one line: value, uninformed baseline, best simple method, ceiling, and the share
of the achievable.

Works on the report alone (evaluation.json), so older runs are summed up too, as far as they were measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from gpovae_core.evaluation.rankings import BASELINES, CEILING

FEW = 10
"""With fewer usable edges of a reference nothing is said of who finds them better."""
LEAST_ROOM = 0.02
"""Below so small a distance between baseline and ceiling, as a part of the larger, a share of it says
nothing.
"""

METHODS = {
    "model": "this model",
    "calibrated": "model with training mean",
    "train_mean": "training mean",
    "perturbation_mean": "mean over perturbations",
    "no_effect": "no effect",
    "additive": "sum of single effects",
    "linear": "linear model",
    "ceiling": "ceiling",
    "w": "W (direct edges)",
    "influence": "T_K (all that follows)",
    "random": "random pairs",
    "mean_difference": "mean difference",
    "mann_whitney": "Mann-Whitney z",
    "z": "log fold change over its error",
    "correlation": "correlation",
    "inverse": "inverse of the total effects",
    "train_wasserstein": "Wasserstein distance in training cells",
    "bound": "best possible on these very cells",
    "for_any_pair": "any pair",
    "prevalence": "chance",
    "one_sign_for_all": "one sign for all",
}
"""Key in a report -> its name for reading."""

RESPONSE = {
    "ate_rho": (
        "ATE-rho, all effects pooled",
        "correlation of predicted with observed effects over all perturbations and genes",
    ),
    "median_rho": ("rho, median of perturbations", "the same within each perturbation, its median"),
    "centroid_rho": (
        "rho beyond the mean perturbation",
        "the same after the mean of the perturbed centroids is taken off both sides",
    ),
    "r2": (
        "R², all effects pooled",
        "share of the variance of observed effects that is predicted; below 0: worse than their mean",
    ),
    "weighted_r2": (
        "R² weighted by response, median",
        "the same within each perturbation, genes weighed by how clearly they respond",
    ),
    "ate_rho_top20": (
        "ATE-rho, 20 largest effects",
        "correlation over the 20 largest observed effects of each perturbation",
    ),
    "jaccard_top20": (
        "20 largest effects shared",
        "shared over joint among the 20 largest effects of both sides",
    ),
    "jaccard_top50": ("50 largest effects shared", "the same for 50"),
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
_RIVALS = ("train_mean", "linear", "additive", "perturbation_mean", "no_effect")
_RANKINGS = BASELINES
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


@dataclass(frozen=True)
class Line:
    """One score. baseline: what needs no information; rival: the strongest method without a model; share,
    rival_share: (value - baseline) / (ceiling - baseline), None where that says nothing; amount: what it
    rests on, in words; lower: whether less is better.
    """

    group: str
    key: str
    name: str
    meaning: str
    value: float | None
    baseline: float | None
    baseline_name: str
    rival: float | None
    rival_name: str
    ceiling: float | None
    share: float | None
    rival_share: float | None
    amount: str
    lower: bool = False

    @property
    def beats(self) -> bool | None:
        """Whether the value is better than the strongest method without a model; None where one of them is
        unknown.
        """
        if self.value is None or self.rival is None:
            return None
        return self.value < self.rival if self.lower else self.value > self.rival


def achieved(value: float | None, baseline: float | None, ceiling: float | None) -> float | None:
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


def summary(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a report as plain dicts, response first."""
    return [asdict(line) for line in lines(report)]


def lines(report: dict[str, Any]) -> list[Line]:
    """Every score that the report holds; scores that were not measured are left out."""
    return [
        *_response_lines(report, "test"),
        *_network_lines(report),
        *_reference_lines(report),
        *_truth_lines(report),
    ]


def response_lines(report: dict[str, Any], reference: str) -> list[Line]:
    """The scores of the predicted effects against "test" or "all"."""
    return list(_response_lines(report, reference))


def _response_lines(report: dict[str, Any], reference: str) -> Iterable[Line]:
    part = _pick(report, "response", reference)
    amount = f"{_count(part.get('perturbations'))} perturbations, {_count(part.get('cells'))} cells"
    compared = part.get("compared") or {}
    for key, (name, meaning) in RESPONSE.items():
        scores = part.get(key)
        if not isinstance(scores, dict):
            continue
        plain = "no_effect" if key == "centroid_rho" else "perturbation_mean"
        rivals = [
            one
            for one in _RIVALS
            if one != plain and (compared.get(one) or 0) >= (compared.get("model") or 0)
        ]
        yield _line(
            "response",
            key,
            name,
            meaning,
            scores,
            "model",
            plain,
            rivals,
            scores.get("ceiling"),
            amount,
            lower=False,
        )


def _network_lines(report: dict[str, Any]) -> Iterable[Line]:
    part = _pick(report, "network")
    same = part.get("at_same_edges") or {}
    edges = part.get("edges")
    amount = f"{_count(edges)} edges of {_count(part.get('pairs'))} pairs"
    for key, (name, meaning) in NETWORK.items():
        scores = {method: (same.get(method) or {}).get(key) for method in ("random", *_RANKINGS)} | {
            "w": part.get(key)
        }
        if any(value is not None for value in scores.values()):
            ceiling = (same.get(CEILING[key]) or {}).get(key)
            yield _line(
                "network",
                key,
                f"W: {_lowered(name)}",
                meaning,
                scores,
                "w",
                "random",
                _RANKINGS,
                ceiling,
                amount,
            )
    yield from _influence_lines(part)
    if "for" in part:
        meaning = (
            "share of raw p below the level among pairs without a short path: what the network misses. "
            "Less is better"
        )
        scores = {"w": part.get("for"), "for_any_pair": part.get("for_any_pair")}
        amount = f"{_count(part.get('for_pairs'))} pairs without a path"
        name = "W: false omission rate"
        yield _line(
            "network",
            "for",
            name,
            meaning,
            scores,
            "w",
            "for_any_pair",
            (),
            part.get("for_ceiling"),
            amount,
            lower=True,
        )


def _influence_lines(part: dict[str, Any]) -> Iterable[Line]:
    """T_K with as many pairs as W has edges."""
    matched = part.get("matched") or {}
    counts, curves = matched.get("edges") or [], matched.get("as_measured") or {}
    if "influence" not in curves or part.get("edges") not in counts:
        return
    at = counts.index(part["edges"])
    for key, (name, meaning) in NETWORK.items():
        scores = {method: _at(curves, method, key, at) for method in ("influence", "random", *_RANKINGS)}
        ceiling = _at(curves, CEILING[key], key, at)
        amount = f"{_count(part['edges'])} strongest pairs of {_count(part.get('pairs'))}"
        label = f"T_K: {_lowered(name).replace('edges', 'pairs')}"
        yield _line(
            "network",
            f"influence_{key}",
            label,
            meaning,
            scores,
            "influence",
            "random",
            _RANKINGS,
            ceiling,
            amount,
        )


def _at(curves: dict[str, Any], method: str, measure: str, at: int) -> float | None:
    values = (curves.get(method) or {}).get(measure) or []
    return values[at] if at < len(values) else None


def _reference_lines(report: dict[str, Any]) -> Iterable[Line]:
    for known in _pick(report, "network").get("references") or []:
        direction = "directed" if known["directed"] else "without direction"
        amount = (
            f"{_count(known['edges'])} usable edges of {_count(known['pairs'])} pairs, "
            f"{_count(known['sources'])} sources"
        )
        meaning = (
            f"area under precision and recall against {known['name']} ({direction}); a reference is never "
            "complete, so no ceiling is known"
        )
        for method, label in (("w", "W"), ("influence", "T_K")):
            scores = {name: one.get("auprc") for name, one in known["rankings"].items()} | {
                "prevalence": known["prevalence"]
            }
            p = known["rankings"].get(method, {}).get("p")
            few = (known["edges"] or 0) < FEW
            words = (
                f"{amount}: too few to say anything"
                if few
                else f"{amount}; shuffled references at least as good: p = {p or 1:.2g}"
            )
            name = f"{label}: AUPRC, {known['name']}"
            rivals = () if few else _RANKINGS
            yield _line(
                "references",
                f"{method}_auprc",
                name,
                meaning,
                scores,
                method,
                "prevalence",
                rivals,
                None,
                words,
            )


def _truth_lines(report: dict[str, Any]) -> Iterable[Line]:
    truth = _pick(report, "network").get("truth")
    if not truth:
        return
    for kind, words in (
        ("direct", "true direct edges"),
        ("ancestors", "true ancestors, over any number of hops"),
    ):
        part = truth[kind]
        amount = f"{_count(part['edges'])} of {_count(part['pairs'])} pairs are true"
        for method, label in (("w", "W"), ("influence", "T_K")):
            scores = {name: one.get("auprc") for name, one in part["rankings"].items()} | {
                "prevalence": part["prevalence"]
            }
            meaning = (
                f"area under precision and recall for the {words}, known because the cells are simulated"
            )
            name = f"{label}: AUPRC, {words.split(',')[0]}"
            yield _line(
                "truth",
                f"{method}_{kind}",
                name,
                meaning,
                scores,
                method,
                "prevalence",
                _RANKINGS,
                1.0,
                amount,
            )
    signs = truth["signs"]
    scores = {"w": signs["right"], "one_sign_for_all": signs["one_sign_for_all"]}
    amount = f"{_count(signs['edges'])} true edges called"
    meaning = "share of the true edges called whose sign, activation or repression, is right"
    yield _line("truth", "signs", "W: signs right", meaning, scores, "w", "one_sign_for_all", (), 1.0, amount)


def _line(
    group: str,
    key: str,
    name: str,
    meaning: str,
    scores: dict[str, float | None],
    own: str,
    plain: str,
    rivals: Iterable[str],
    ceiling: float | None,
    amount: str,
    lower: bool = False,
) -> Line:
    known = [(value, rival) for rival in rivals if (value := scores.get(rival)) is not None]
    rival = (min if lower else max)(known, default=(None, ""), key=lambda pair: pair[0])
    value, baseline = scores.get(own), scores.get(plain)
    return Line(
        group=group,
        key=key,
        name=name,
        meaning=meaning,
        value=value,
        baseline=baseline,
        baseline_name=METHODS[plain],
        rival=rival[0],
        rival_name=METHODS.get(rival[1], ""),
        ceiling=ceiling,
        share=achieved(value, baseline, ceiling),
        rival_share=achieved(rival[0], baseline, ceiling),
        amount=amount,
        lower=lower,
    )


def verdicts(report: dict[str, Any]) -> list[str]:
    """What the numbers say, a plain sentence per group: wins and losses against the strongest method without
    a model.
    """
    groups = {
        "response": "Predicted effects on held-out cells",
        "network": "Network against held-out cells",
        "references": "Known networks",
        "truth": "The true network",
    }
    found = lines(report)
    sentences = []
    for group, title in groups.items():
        judged = [line for line in found if line.group == group and line.beats is not None]
        if not judged:
            continue
        lost, won = ([line.name for line in judged if line.beats is beats] for beats in (False, True))
        words = f"{title}: better than the best method without a model on {len(won)} of {len(judged)} scores"
        if won and lost:  # the shorter list says it all
            words += f": {'; '.join(won)}" if len(won) <= len(lost) else f", all but: {'; '.join(lost)}"
        sentences.append(f"{words}.")
    return sentences


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


def _pick(report: dict[str, Any], *path: str) -> dict[str, Any]:
    part: Any = report
    for name in path:
        part = part.get(name) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "no"
