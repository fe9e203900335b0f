"""What if: knock down any gene of the panel, or several together, and see what the run expects, and what that
rests on.
"""

from dashboard.shared import shell
from dashboard.whatif import page

shell.title(
    "What if",
    "Knock down any gene of the panel, or several together: what the run expects, next to what was "
    "measured, and what that rests on.",
)
if (run := shell.opened_run()) is not None:
    page.show(run)
