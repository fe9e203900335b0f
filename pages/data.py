"""Data: choose cells, see what is in them and what would be used, before anything is trained."""

from dashboard.data import page
from dashboard.shared import shell

shell.title(
    "Data",
    "From a file of cells to what the model would train on: what is in it, what is missing, what would be "
    "left out.",
)
page.show()
