"""Experiments: many runs as one: ablations and sweeps over settings, with error bars over seeds."""

from dashboard.experiments import page
from dashboard.shared import shell

shell.title(
    "Experiments",
    "Does a setting matter, or is it chance? The same cells trained on several times, scores side by side.",
)
page.show()
