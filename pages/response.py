"""Response: what the model says a perturbation does, beside what was measured."""

from dashboard.response import page
from dashboard.shared import shell

shell.title(
    "Response", "What the model predicts a perturbation to do, gene by gene, beside what was measured."
)
if (run := shell.opened_run()) is not None:
    page.show(run)
