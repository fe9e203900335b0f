"""Benchmark: where a run stands between what needs no model and what the data allow; several runs side by
side; reports to take away.
"""

from dashboard.benchmark import page
from dashboard.shared import shell

shell.title(
    "Benchmark",
    "Every score on held-out cells, between a baseline that needs no information and a ceiling that the "
    "noise in the data sets.",
)
if (run := shell.opened_run()) is not None:
    page.show(run)
