"""What a training says in the end: where the run is, what it found, how good that is, what to do next."""

from __future__ import annotations

import shlex

from gpovae_core.data.wording import counted
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.overview import overview
from gpovae_core.reporting import findings
from gpovae_core.reporting.notes import once
from gpovae_core.reporting.sentences import predictions_in_short
from gpovae_core.reporting.words import capitalised
from gpovae_core.runs.folder import RunFolder, runs_folder


def ending(run: RunFolder) -> list[str]:
    """At most ten short lines, plain text, of a run that is done; of another one what became of it."""
    status = run.status()
    if status.state != "done":
        goes_on = " To go on: the same command with --resume." * (status.state == "stopped")
        return [f"Run {run.path}: {status.state}, {status.message}.{goes_on}"]
    scores = read_evaluation(run)
    best = f", best {status.best_epoch}" if status.best_epoch is not None else ""
    return [
        f"Run {run.path}: done after {status.epoch} epochs{best}.",
        *_edges(run, scores),
        *_scores(scores),
        *_next(run),
    ]


def _edges(run: RunFolder, scores: Evaluation | None) -> list[str]:
    if run.without_network:
        return [f"Network: none, the preset {run.settings().preset} learns none."]
    found = overview(GeneNetwork.from_run(run, measured=False), run.settings().evaluation.threshold)
    network = None if scores is None else scores.network
    false = findings.false_in_words(found.edges, getattr(network, "estimated_false_edge_rate", None))
    again = findings.come_back_in_words(found) or (
        f"how often they come back was not counted; {shlex.join(['gpovae', 'ensemble', str(run.path)])} does"
    )
    told = [
        f"Network: {found.edges:,} edges with W above {found.threshold:g}, from "
        f"{len(found.regulators):,} of {found.perturbed:,} perturbed genes."
    ]
    return told + [f"  {capitalised(words)}." for words in (again, false, *_not_known(run)) if words]


def _not_known(run: RunFolder) -> list[str]:
    """What the design of the screen does not let anybody know, in short; `gpovae evaluate` says more."""
    report = run.report() if run.has("cells.h5ad") else None
    if report is None:
        return []
    alone, apart = len(report.without_controls), report.unseparated
    return [
        f"no effects of {counted(alone, 'perturbation')} without control cells in the same batch"
        * (alone > 0),
        "how many edges are false is not known: batches cannot be told from effects" * (len(apart) > 0),
    ]


def _scores(scores: Evaluation | None) -> list[str]:
    if scores is None:
        return []
    told = [words] if (words := predictions_in_short(scores)) else []
    warnings = () if scores.health is None else scores.health.warnings or ()
    said = len(warnings) + len(once(scores.notes))
    return told + ([f"Warnings and notes: {said}, shown by gpovae evaluate."] if said else [])


def _next(run: RunFolder) -> list[str]:
    runs = run.path.resolve().parent
    here = [] if runs == runs_folder().resolve() else ["--runs", str(run.path.parent)]
    return [
        f"Next: {shlex.join(['gpovae', 'app', *here])}  (the network and its cells, in a browser)",
        f"      {shlex.join(['gpovae', 'evaluate', str(run.path)])}  (every score)",
    ]
