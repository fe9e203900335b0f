"""Experiments: many runs as one: ablations and sweeps over settings, with error bars over seeds."""

from dashboard.experiments import page
from dashboard.shared import shell

shell.title(
    "Experiments",
    "What a setting does: the same cells trained at several points of a plan, once per seed, as ordinary "
    "runs.",
)
page.show()
