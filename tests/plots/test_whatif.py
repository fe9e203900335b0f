"""Figures of what-if answers: what is drawn, in which order, with units; names are text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gpovae_core.plots import whatif
from gpovae_core.questions.interactions import predicted_interaction


def table(effects: dict[str, float], perturbed: str, **more: float) -> pd.DataFrame:
    made = pd.DataFrame({"gene": list(effects), "effect": list(effects.values())})
    made = made.assign(
        low=made["effect"] - 0.1, high=made["effect"] + 0.1, perturbed=made["gene"] == perturbed, **more
    )
    return made.sort_values("effect", key=abs, ascending=False, ignore_index=True)


ONE = table({"A": -2.0, "X": 1.0, "Y": 0.5, "Z": 0.1}, "A", measured=0.4, measured_se=0.1)
TWO = table({"B": -1.5, "Z": -1.2, "X": 0.2, "Y": 0.0}, "B", additive=0.3)


def test_genes_are_shared_and_each_scenario_has_its_say() -> None:
    assert whatif.shared_genes({"one": ONE, "two": TWO}, 2) == ["A", "B", "X", "Z"]


def test_one_column_per_scenario_with_intervals_measured_and_additive() -> None:
    figure = whatif.scenarios({"one": ONE, "two <b>": TWO}, 3)
    names = [trace.name for trace in figure.data]
    assert names == [
        "Predicted, model's spread",
        "Measured, 95 % interval",
        "Predicted, model's spread",
        "Sum of the single knock-downs",
    ]
    first = figure.data[0]
    genes = list(figure.layout.yaxis.ticktext)
    assert genes[0] == "★ A"
    assert first.x[0] == -2.0
    np.testing.assert_allclose(first.error_x.array[0], 0.1)
    assert [bool(trace.showlegend) for trace in figure.data] == [True, True, False, True]
    assert "&lt;b&gt;" in figure.layout.annotations[1].text
    assert "log2" in figure.layout.xaxis.title.text
    assert figure.layout.xaxis2.matches == "x"


def test_on_a_narrow_screen_scenarios_stand_one_below_the_other_under_their_names() -> None:
    tables = {"one": ONE, "two <b>": TWO, "three": ONE}
    wide, narrow = whatif.scenarios(tables, 3), whatif.scenarios(tables, 3, narrow=True)
    for drawn, beside in zip(narrow.data, wide.data, strict=True):
        np.testing.assert_array_equal(drawn.x, beside.x)
    names = [note for note in narrow.layout.annotations if note.text in {"one", "two &lt;b&gt;", "three"}]
    assert len({note.x for note in names}) == 1
    assert [note.y for note in names] == sorted({note.y for note in names}, reverse=True)
    axes = [narrow.layout.yaxis, narrow.layout.yaxis2, narrow.layout.yaxis3]
    assert {axis.ticktext for axis in axes} == {wide.layout.yaxis.ticktext}
    height = narrow.layout.height - narrow.layout.margin.t - narrow.layout.margin.b
    panels = [(axis.domain[1] - axis.domain[0]) * height for axis in axes]
    np.testing.assert_allclose(panels, whatif.ROW_HEIGHT * len(axes[0].ticktext))
    assert "★" in narrow.layout.title.text
    assert "log2" in narrow.layout.xaxis3.title.text


def test_nothing_to_show_is_said() -> None:
    assert "no effect" in whatif.scenarios({"one": ONE.iloc[:0]}).layout.annotations[0].text


def test_departures_are_named_and_counted() -> None:
    rng = np.random.default_rng(0)
    single = rng.normal(size=(2, 30))
    both = single.sum(axis=0)
    both[[4, 9]] += 2.5
    genes = pd.Index([f"<i>G{i}" for i in range(30)])
    found = predicted_interaction("<i>G0+<i>G1", genes, single, both, np.full(30, 0.1))
    figure = whatif.departures(found, "Predicted")
    assert [trace.name for trace in figure.data][1:] == ["Adds up within error (26)", "Non-additive (2)"]
    assert {note.text for note in figure.layout.annotations} == {"&lt;i&gt;G4", "&lt;i&gt;G9"}
    assert "log2" in figure.layout.yaxis.title.text
