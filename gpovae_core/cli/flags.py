"""Settings in errors and hints, as the command line gives them."""

from __future__ import annotations

import re
from functools import cache

FLAGS = {
    **{
        f"data.{name}": "--" + name.replace("_", "-")
        for name in (
            *("label_column", "control_label", "guides", "guide_targets", "guide_rule", "batch", "donor"),
            *("guide", "condition", "conditions", "condition_as_batch", "size_factor"),
        )
    },
    "network.perturbation": "--direction",
    **{
        f"effects.{name}": "--" + name.replace("_", "-")
        for name in (
            *("perturbation_column", "gene_column", "effect_column", "error_column"),
            *("unit", "null", "panel_extra"),
        )
    },
}
"""Setting -> the option of its own that it has."""


@cache
def _setting() -> re.Pattern[str]:
    """A setting as messages name it. The settings are read when a message needs them, not for --help."""
    from gpovae_core.config import DataSettings

    with_flag = "|".join(map(re.escape, FLAGS))
    fields = "|".join(name for name in DataSettings.model_fields if "_" in name)
    short = "|".join(name for name in DataSettings.model_fields if "_" not in name)
    return re.compile(
        rf"(?<!['\w.])(?P<set>[Ss]et )?(?:(?P<path>{with_flag})|(?P<data>data\.)?(?P<field>{fields})"
        rf"|data\.(?P<short>{short}))(?!['\w])"
    )


def in_flags(text: str) -> str:
    """A message with the options of the command line in the place of settings: --label-column, and for those
    without one of their own --set data.counts_layer=VALUE.
    """

    def option(match: re.Match[str]) -> str:
        before, name = match["set"] or "", match["field"] or match["short"]
        path = match["path"] or f"data.{name}"
        if path in FLAGS:
            return before + FLAGS[path]
        said = before or match["data"] or match["short"]
        return f"{before}{name} (--set {path}=VALUE)" if said else match[0]

    return _setting().sub(option, text)
