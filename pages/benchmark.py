"""Benchmark: where a run stands between what needs no model and what the data allow; several runs side by
side; reports to take away.
"""

from dashboard.benchmark import page
from dashboard.shared import shell

if (run := shell.begin_on_a_run("Benchmark")) is not None:
    page.show(run)
