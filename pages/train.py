"""Train: put a run together, see what it will cost, start it, watch it, stop it, resume it."""

from dashboard.shared import shell
from dashboard.train import page

shell.title("Train", "Training goes on in the background: close this page, come back, and it is still there.")
page.show()
