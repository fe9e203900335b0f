"""What is known from elsewhere and what it says of a run, in words."""

from __future__ import annotations

import numpy as np

from gpovae_core import keys
from gpovae_core.evaluation.known_unseen import KnownUnseen
from gpovae_core.network.activity import LEVEL, Activities
from gpovae_core.network.enrichment import RankedEnrichment
from gpovae_core.network.knowledge import Knowledge
from gpovae_core.reporting.words import number, percent

SHOWN = 15


def knowledge_in_words(found: Knowledge) -> str:
    """Line by line, for a terminal."""
    true = found.true
    rewired = np.array([one.weight for one in found.rewired])
    lines = [
        f"{found.table}: {true.known:,} of {true.pairs:,} pairs that it could list are known. Learned from "
        f"the cells: weight {true.weight:+.2f} ± {true.error:.2f} (log odds); {_kept(true.kept)}.",
        f"Prior share of edges: {percent(true.share_known)} of known pairs ({percent(true.share_without)} "
        f"were they like others), {percent(true.share_unknown)} of the others.",
        f"Rewired at equal degrees, {len(rewired)} times: weight {rewired.mean():+.2f} on average (standard "
        f"deviation {rewired.std():.2f}); as learned, {found.rewired_near(1.0)} of {len(rewired)} are within "
        f"their standard error of 0, {found.rewired_near(keys.NORMAL_95)} within 1.96 of them; as applied, "
        f"{found.rewired_within} within one.",
        f"Half of the table used, the other half predicted: {found.half.gain:+.4f} ± "
        f"{number(found.half.error, 4)} nats a pair; rewired "
        f"{np.mean([one.gain for one in found.half_rewired]):+.4f}.",
    ]
    if found.held_out is not None:
        held = found.held_out
        lines.append(
            f"Significant in held-out cells, of {held.edges:,} edges: {held.significant:,} with the table, "
            f"{held.significant_without:,} without; {held.gained_significant:,} of {held.gained:,} that come "
            f"in, {held.lost_significant:,} of {held.lost:,} that go out."
        )
    changed = found.edges.loc[(found.edges["weight"] - found.edges["weight_without"]).abs() > 0.01]
    if len(changed):
        lines += ["", "W with the table and without, edge:"]
        lines += [
            f"  {row['weight']:.3f}  {row['weight_without']:.3f}  {row['source']} -> {row['target']}"
            f"{' (known)' if row['known'] else ''}"
            for row in changed.head(SHOWN).to_dict("records")
        ]
    return "\n".join(lines)


def _kept(weight: float) -> str:
    return f"applied as {weight:+.2f}" if weight else "not applied, as chance alone would explain it"


def ranked_in_words(found: RankedEnrichment, top: int) -> str:
    """Line by line, for a terminal."""
    lines = [
        f"All effects of perturbing {found.perturbation} over their errors, {found.background:,} genes; "
        f"{len(found.sets):,} sets tested. Genes of a set that move together anyway make p too small.",
        "p, adjusted, shift (-1 to 1), genes, set (source): farthest genes",
    ]
    lines += [
        f"{row.p:.2g}  {row.p_adjusted:.2g}  {row.shift:+.2f}  {row.size}  {row.name} ({row.source}): "
        f"{', '.join(row.genes[:6])}"
        for row in found.sets[:top]
    ]
    return "\n".join(lines)


def activities_in_words(found: Activities, top: int) -> str:
    """Line by line, for a terminal."""
    lines = ["activity (t), adjusted p, regulator (measured targets) under a perturbation, by which network"]
    lines += [
        f"{row['score']:+.2f}  {row['p_adjusted']:.2g}  {row['regulator']} ({row['targets']}) under "
        f"{row['perturbation']}, {row['network']}"
        for row in found.table.head(top).to_dict("records")
    ]
    if len(found.own):
        right = int((np.sign(found.own["score"]) == found.own["expected"]).sum())
        clear = found.own["p_adjusted"] <= LEVEL
        agree = int((np.sign(found.own["score"]) == found.own["expected"])[clear].sum())
        lines.append(
            f"Perturbed regulators that the table knows: {len(found.own):,}; under their own perturbation "
            f"{right:,} have the expected sign, of {int(clear.sum()):,} significant ones {agree:,}."
        )
    if found.agreement is not None:
        one = found.agreement
        lines.append(
            f"W and the table on the same regulators, {one.pairs:,} pairs with a perturbation: correlation "
            f"{number(one.rho)}; significant in both {one.significant:,}, with the same sign "
            f"{one.same_sign:,}."
        )
    return "\n".join(lines)


def known_unseen_in_words(found: KnownUnseen) -> str:
    """Line by line, for a terminal."""
    lines = [
        f"{found.perturbations:,} perturbations, each predicted from others alone, over {found.genes:,} "
        "genes. Explained of the squared effects:",
        f"  {found.mean:+.4f}  mean over the others",
        f"  {found.ceiling:+.4f}  what the errors of the measurement leave",
    ]
    for one in found.tables:
        rewired = ", ".join(f"{gain.explained:+.4f}" for gain in one.rewired)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in one.true.weights.items())
        lines.append(
            f"  {one.true.explained:+.4f}  {one.name} (knows {one.known:,} of the perturbed genes); of what "
            f"the mean leaves {one.true.gain:+.4f} ± {one.true.error:.4f}; rewired {rewired}; weights, of "
            f"which {one.true.kept:.0%} held up: {weights}"
        )
    return "\n".join(lines)
