"""A script that is interrupted by the next click forgets the widgets that it had not reached, and calls all
their callbacks: nobody touched them.
"""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

PRESET = ("form_preset", "form_published")


def form() -> None:
    from dashboard.shared import settings_form

    settings_form.preset_choice()
    settings_form.in_sight()
    settings_form.folded()


@pytest.fixture
def page() -> AppTest:
    """The form as it is drawn, and of its session what is left when a script stopped after the preset."""
    drawn = AppTest.from_function(form, default_timeout=60).run()
    for kind in ("number_input", "text_input", "selectbox", "checkbox", "multiselect"):
        for widget in drawn.get(kind):
            if not widget.disabled:
                widget.set_value(widget.value)  # the browser holds it and sends it with every click
    session = drawn._session_state._state
    session._compact_state()
    fields = [key for key in session._old_state if "form_" in key and key.split("-")[-1] not in PRESET]
    assert len(fields) > 20
    for key in fields:
        del session._old_state[key]
    return drawn


def test_another_preset_does_not_keep_the_values_of_the_one_before(page: AppTest) -> None:
    page.selectbox(key="form_preset").set_value("released").run()
    assert page.selectbox(key="form_preset").value == "released"
    assert page.button[0].label == "No changes"


def test_what_was_chosen_is_kept_all_the_same(page: AppTest) -> None:
    page.number_input(key="form_seed").set_value(7).run()
    assert page.number_input(key="form_seed").value == 7
    assert page.button[0].label == "Undo 2 changes"
