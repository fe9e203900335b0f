"""Scores and checked files as text for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _usable(summary: dict[str, Any]) -> list[str]:
    """What would be used of a file, for reading."""
    sizes = summary["perturbations"]
    listed = ", ".join(
        f"{name} {count:,}" for name, count in sorted(sizes.items(), key=lambda item: -item[1])
    )
    dropped = [
        f"Dropped: {item['what']} {item['name']}, {item['count']:,} cells: {item['reason']}"
        for item in summary["dropped"]
    ]
    return [
        f"Cells: {summary['cells_kept']:,} of {summary['cells']:,}; genes: {summary['genes']:,}; counts "
        f"from {summary['counts_from']}.",
        f"Labels from '{summary['label_column']}'; control '{summary['control_label']}' with "
        f"{summary['control_cells']:,} cells.",
        f"Perturbations ({len(sizes)}) with their cells: {listed}.",
        *dropped,
        *(f"Note: {note}" for note in summary["notes"]),
    ]


def _scores(report: dict[str, Any]) -> str:
    """Scores for reading: every number beside its baselines, its ceiling and its edge count."""

    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    lines = []
    for name, words in (("test", "held-out cells"), ("all", "all cells, the model's own included")):
        scores = report.get("response", {}).get(name)
        if scores:
            lines.append(
                f"Effects, {words} ({scores['perturbations']} perturbations, {scores['cells']} cells):"
            )
            for metric, label in (
                ("ate_rho", "ATE-rho, pooled"),
                ("median_rho", "rho, median of perturbations"),
                ("r2", "R2"),
            ):
                lines.append(
                    f"  {label}: "
                    + ", ".join(
                        f"{key.replace('_', ' ')} {number(value)}" for key, value in scores[metric].items()
                    )
                )
    net = report["network"]
    cut = "listed edges" if net["threshold"] is None else f"threshold {net['threshold']:g}"
    same = net["at_same_edges"]
    lines += [
        f"Network, {cut}: {net['edges']} edges of {net['pairs']} testable pairs",
        f"  mean Wasserstein {number(net['mu_wd'])} (same number of edges: random "
        f"{number(same['random']['mu_wd'])}, mean difference {number(same['mean_difference']['mu_wd'])})",
        f"  share with BH p < 0.05 {number(net['bh_share'])} (random {number(same['random']['bh_share'])}, "
        f"mean difference {number(same['mean_difference']['bh_share'])})",
        f"  false omission rate {number(net['for'])} over {net['for_pairs']} pairs without a path",
    ]
    if "rankings" in net:
        lines.append(
            f"  estimated share of false edges {number(net['false_edge_rate'])} (no effect at all; from "
            "controls)"
        )
        lines += _ranking_lines(net["rankings"], number)
    health = report.get("health")
    if health:
        lines.append(f"Latent dimensions in use: {health['active_latent']} of {health['latent']}")
        lines += [f"Warning: {text}" for text in health["warnings"]]
    from gpovae_core.evaluation.summary import verdicts

    return "\n".join([*lines, *verdicts(report), *(f"Note: {text}" for text in report.get("notes", []))])


def _unseen_scores(answer: dict[str, Any]) -> str:
    """Scores of the network's predictions of held-out perturbations, each beside its baselines."""

    def number(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    lines = [
        f"Whole perturbations held out, {answer['at_once']} at a time, {answer['draws']} draws, seed "
        f"{answer['seed']}; the perturbed gene's own column is left out."
    ]
    for key, words in (
        ("pooled", "All held-out perturbations"),
        ("with_known_path", "Those that some training perturbation moves"),
    ):
        part = answer[key]
        lines.append(f"{words} ({part['perturbations']}):")
        for score, label in (
            ("rho", "rho, pooled"),
            ("median_rho", "rho, median of perturbations"),
            ("rmse", "root mean square error"),
        ):
            lines.append(
                f"  {label}: "
                + ", ".join(
                    f"{name.replace('_', ' ')} {number(value)}" for name, value in part[score].items()
                )
            )
    weights = ", ".join(f"{name} {value:.2f}" for name, value in answer["screen"]["weights"].items())
    return "\n".join([*lines, f"Weights of the parts over all perturbations of the screen: {weights}."])


def _ranking_lines(rankings: dict[str, Any], number: Callable[[float | None], str]) -> list[str]:
    """Rankings of pairs at equal numbers of edges, against held-out cells."""
    words = {
        "w": "W",
        "influence": "T_K",
        "model": "predicted effects",
        "mean_difference": "mean difference",
        "z": "z score",
        "random": "random",
    }
    lines = []
    for reference, title in (
        ("as_measured", "as measured"),
        ("without_common_lift", "without the common lift of all shares"),
    ):
        for entry in rankings[reference]:
            scores = (
                f"{label} {number(entry[k]['bh_share'])} / {number(entry[k]['mu_wd'])}"
                for k, label in words.items()
                if k in entry
            )
            lines.append(f"  top {entry['edges']}, {title}, BH share / mean Wasserstein: {', '.join(scores)}")
    return lines
