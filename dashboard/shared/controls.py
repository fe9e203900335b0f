"""Settings in errors and hints, as the page shows the controls that change them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpovae_core.data.decisions import Decision

TITLES = {
    "data.label_column": "Labels",
    "data.control_label": "Control",
    "data.counts_layer": "Counts",
    "data.symbol_column": "Gene names",
    "data.pair_separator": "Combinations",
    "data.unclear_labels": "Unclear labels",
    "data.non_perturbed": "Cells that Mixscape calls not perturbed (NP)",
    "data.conditions": "Conditions",
    "data.batch": "Batch",
    "data.donor": "Donor",
    "data.guide": "Guide",
    "data.condition": "Condition",
    "data.size_factor": "Size factor",
    "network.perturbation": "Direction",
}
"""Settings that a line under 'How this file is read' changes -> how it begins."""
FIELDS = {
    "data.min_cells": "Least cells per perturbation",
    "data.panel": "Panel",
    "data.condition_as_batch": "Conditions are batches of one experiment",
    "data.guides": "Guide UMIs in another file",
    "data.guide_targets": "Table of what guides target",
    "data.guide_umis": "Guide umis",
    "data.guide_share": "Guide share",
    "effects.perturbation_column": "Column of the perturbed gene",
    "effects.gene_column": "Column of the measured gene",
    "effects.effect_column": "Effects: column or layer",
    "effects.error_column": "Standard errors: column or layer",
    "effects.unit": "Unit",
    "effects.null": "Without any effect one would see",
    "effects.panel_extra": "Genes beside the perturbed ones",
}
"""Settings that have a field of their own -> its title."""
_WHOLE = "|".join(map(re.escape, (*TITLES, *FIELDS)))
_BARE = "|".join(
    path.partition(".")[2] for path in (*TITLES, *FIELDS) if path.startswith("data.") and "_" in path
)
_VALUES = ("unclear_labels", "non_perturbed", "pair_separator", "other_features")
"""Settings whose values the page has words for."""
_FLAGS = {"--" + path.partition(".")[2].replace("_", "-"): path for path in (*TITLES, *FIELDS)}
"""Options of the command line, in what a job has printed."""
_OPTION = "|".join(map(re.escape, _FLAGS))
_SETTING = re.compile(
    rf"(?<!['\w.-])(?:(?P<path>{_WHOLE})|(?P<field>{_BARE})|(?P<option>{_OPTION})(?P<none> none)?)(?!['\w-])"
)


def on_page(text: str, decisions: Sequence[Decision] | None = None) -> str:
    """A message with the titles of controls in the place of settings, and what their values are called there.
    decisions: of the page Data, where the question of one that waits for a person stands above the message;
    None on other pages.
    """
    asked = {decision.setting for decision in decisions or () if decision.asked}

    def control(match: re.Match[str]) -> str:
        path = match["path"] or _FLAGS.get(match["option"] or "") or f"data.{match['field']}"
        if path in FIELDS:
            return f"“{FIELDS[path]}”"
        where = "your choice, above" if path.removeprefix("data.") in asked else "change, below"
        where = "on the page Data" if decisions is None else where
        return f"“{TITLES[path]}{': none' if match['none'] else ''}” ({where})"

    for decision in decisions or ():
        if decision.setting in _VALUES and decision.setting in text:
            for option in decision.options:
                text = text.replace(f"'{option.value}'", f"“{option.text}”")
    return _SETTING.sub(control, text)
