"""What if: knock down any gene of the panel, or several together, and see what the run expects, and what that
rests on.
"""

from dashboard.shared import shell
from dashboard.whatif import page

if (run := shell.begin_on_a_run("What if")) is not None:
    page.show(run)
