"""Network: the learned network at a threshold, the gene or edge chosen in it, and the questions below the
picture.
"""

from dashboard.network import page
from dashboard.shared import shell

shell.title("Network", "An arrow from A to B: the model believes that A regulates B, with probability W.")
if (run := shell.opened_run()) is not None:
    page.show(run)
