"""Network: the learned network at a threshold, the gene or edge chosen in it, and the questions below the
picture.
"""

from dashboard.network import page
from dashboard.shared import shell

shell.title(
    "Network",
    "An arrow from A to B: W says how surely A acts on B directly, as far as the model's assumptions hold.",
)
if (run := shell.opened_run()) is not None:
    page.show(run)
