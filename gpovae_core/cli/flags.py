"""Settings in errors and hints, as the command line gives them."""

from __future__ import annotations

import re

from gpovae_core.config import DataSettings

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
_WITH_FLAG = "|".join(map(re.escape, FLAGS))
_FIELDS = "|".join(name for name in DataSettings.model_fields if "_" in name)
_SHORT = "|".join(name for name in DataSettings.model_fields if "_" not in name)
_SETTING = re.compile(
    rf"(?<!['\w.])(?P<set>[Ss]et )?(?:(?P<path>{_WITH_FLAG})|(?P<data>data\.)?(?P<field>{_FIELDS})"
    rf"|data\.(?P<short>{_SHORT}))(?!['\w])"
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

    return _SETTING.sub(option, text)
