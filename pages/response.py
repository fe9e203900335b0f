"""Response: what the model says a perturbation does, beside what was measured."""

from dashboard.response import page
from dashboard.shared import shell

if (run := shell.begin_on_a_run("Response")) is not None:
    page.show(run)
