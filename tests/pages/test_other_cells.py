"""The part *Compare runs* of the page Network: the network in other cells, and between two conditions."""

from __future__ import annotations

import shutil
from pathlib import Path

from gpovae_core.runs.from_effects import network_from_effects
from tests.app_words import Opener, words
from tests.network.test_differences import halves, part, run_of, strongest, without
from tests.pages.test_network_page import bare, tab
from tests.runs.test_from_effects import effects


def test_a_network_is_held_against_the_cells_of_another_run(
    open_app: Opener, made_runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(made_runs / "plain", tmp_path / "plain")
    effects().to_csv(tmp_path / "a.csv", index=False)
    effects(seed=1).to_csv(tmp_path / "b.csv", index=False)
    for name in "ab":
        network_from_effects(tmp_path / f"{name}.csv", tmp_path / name, panel_extra=20)
    app = tab(open_app("network", folder=tmp_path, run="a", **{"with": "b"}), "Compare runs")
    app = app.toggle(key="transfer_asked").set_value(True).run()
    assert not app.exception
    assert "5 of 5 edges are seen there with their sign, 0 with the other one" in bare(words(app))
    table = next(frame.value for frame in app.dataframe if "There" in frame.value)
    assert set(table["There"]) == {"seen"}
    app = tab(open_app("network", folder=tmp_path, run="plain", **{"with": "b"}), "Compare runs")
    if app.toggle:
        app = app.toggle(key="transfer_asked").set_value(True).run()
        assert "has no network stage" in bare(words(app))


def test_two_conditions_are_compared_edge_by_edge(open_app: Opener, tmp_path: Path) -> None:
    one, other = halves()
    rows, labels = without(strongest(), other)
    run_of(tmp_path / "a", part(one))
    run_of(tmp_path / "b", part(rows, labels))
    app = tab(open_app("network", folder=tmp_path, run="a", **{"with": "b"}), "Compare runs")
    app = app.toggle(key="differences_asked").set_value(True).run(timeout=300)
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "Difference" in frame.value)
    assert (table["Difference"] == "only under a").any()
    assert "|True|" in app.session_state["gpovae_comparison_in_browser"], "the picture shows them, too"
    app = app.multiselect(key="differences_shown").set_value(["only first"]).run()
    table = next(frame.value for frame in app.dataframe if "Difference" in frame.value)
    assert set(table["Difference"]) == {"only under a"}
