"""The page Train: what is at work, and the form of a new run."""

from __future__ import annotations

from dashboard.shared import job_view
from dashboard.train import at_work, new_run


def show() -> None:
    job_view.problem_of_last_click()
    at_work.show()
    new_run.show()
