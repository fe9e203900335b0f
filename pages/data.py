"""Data: choose cells, see what is in them and what would be used, before anything is trained."""

from dashboard.data import page
from dashboard.shared import shell

shell.title(
    "Data",
    "A screen as a file of single cells: raw counts, a column that says which gene was perturbed in each "
    "cell, and control cells. Here you see what is in it and what would be left out.",
)
page.show()
