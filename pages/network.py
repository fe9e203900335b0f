"""Network: the workbench over the learned network of the open run, else of the newest, else of the demo."""

from dashboard.network import page
from dashboard.shared import shell

shell.begin()
if (run := shell.opened_or_newest()) is not None:
    page.show(run)
