"""Runs: what is there; open one, compare several, keep them in order."""

from dashboard.runs import page
from dashboard.shared import shell

shell.title("Runs")
page.show()
