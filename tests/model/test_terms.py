"""A term of the loss is one file: put there, it is in the sum, in the metrics, in the health report and in
the chart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gpovae_core.model import losses
from gpovae_core.model.losses import LossTerm, all_terms
from gpovae_core.plots import training as charts
from gpovae_core.registry import one_of_each_file
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.model import load_model
from gpovae_core.training.fit import fit
from gpovae_core.training.health import health
from tests.test_startup import HEAVY, loaded_by
from tests.toy import tiny_settings, toy_cells

TOY = '''
from gpovae_core.model.losses import LossTerm


def shrink(given):
    """Mean square of what the decoder adds to every gene: falls as the weights do."""
    return 5000 * given.model.decoder.head.bias.pow(2).mean()


TERM = LossTerm("toy_shrink", "Toy: size of the biases", "toys", 90, shrink)
'''


@pytest.fixture
def toy_folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A second folder in which the package looks for terms, forgotten afterwards."""
    folder = tmp_path / "more_terms"
    folder.mkdir()
    monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(folder)])
    all_terms.cache_clear()
    yield folder
    all_terms.cache_clear()
    for path in folder.glob("*.py"):
        sys.modules.pop(f"{losses.__name__}.{path.stem}", None)


def train(folder: Path) -> RunFolder:
    settings = tiny_settings(training={"epochs": 2, "learning_rate": 1e-2})
    run = RunFolder.create(folder, settings, DataSource(path="toy.h5ad"))
    run.write_cells(toy_cells())
    fit(run, toy_cells(), settings)
    return run


def test_a_term_in_one_file_is_trained_collected_checked_and_drawn(tmp_path, toy_folder):
    without = train(tmp_path / "without")
    (toy_folder / "toy_shrink.py").write_text(TOY)
    all_terms.cache_clear()
    run = train(tmp_path / "with")

    metrics, plain = run.metrics(), without.metrics()
    assert set(metrics) - set(plain) == {"toy_shrink"}
    keys = [term.key for term in all_terms()]
    assert keys[-1] == "toy_shrink"
    np.testing.assert_allclose(metrics[keys].sum(axis=1), metrics["train_loss"], rtol=1e-4)
    biases = [load_model(one).decoder.head.bias.detach().pow(2).mean() for one in (run, without)]
    assert biases[0] < 0.9 * biases[1], "its gradient reaches the weights"

    exploded = metrics.assign(toy_shrink=[1.0, 1e6])
    model = load_model(run)
    said = health(model, toy_cells(), exploded, run.settings())["warnings"]
    assert any("'toy_shrink' exploded" in line for line in said)
    assert not any(
        "toy_shrink" in line for line in health(model, toy_cells(), plain, run.settings())["warnings"]
    )

    figure = charts.penalty_curves(metrics)
    (curve,) = [trace for trace in figure.data if trace.name == "Toy: size of the biases"]
    np.testing.assert_array_equal(curve.y, metrics["toy_shrink"])
    assert figure.layout.yaxis.title.text == "Nats per cell, toys (log scale)"
    looks = [(trace.line.color, trace.line.dash) for trace in figure.data]
    assert len(set(looks)) == len(looks) == len(all_terms()) - 1


def test_a_file_that_holds_no_term_is_refused(toy_folder):
    (toy_folder / "toy_empty.py").write_text("weight = 3\n")
    with pytest.raises(TypeError, match=r"toy_empty needs a TERM of type LossTerm; got None"):
        one_of_each_file(losses, "TERM", LossTerm)


def test_two_terms_of_one_key_are_refused(toy_folder):
    (toy_folder / "toy_again.py").write_text(TOY.replace("toy_shrink", "sparsity"))
    with pytest.raises(ValueError, match=r"two files of .*losses hold a TERM called 'sparsity'"):
        all_terms()


def test_terms_have_names_and_an_order_of_their_own():
    terms = all_terms()
    for field in ("key", "title", "order"):
        assert len({getattr(term, field) for term in terms}) == len(terms), field
    assert [term.order for term in terms] == list(range(len(terms)))
    assert [term.key for term in terms if term.beside_loss] == ["reconstruction"]


def test_shared_parts_are_worked_out_once(monkeypatch):
    from gpovae_core.model import loss
    from gpovae_core.model.module import GpoVae
    from tests.model.test_losses import BATCH, infer, make_batch, make_model, terms_of

    asked = []
    rows, probabilities = loss.row_weights, GpoVae.edge_probabilities
    monkeypatch.setattr(loss, "row_weights", lambda *given: asked.append("rows") or rows(*given))
    monkeypatch.setattr(GpoVae, "edge_probabilities", lambda model: asked.append("W") or probabilities(model))
    model, batch = make_model(), make_batch(*BATCH)
    assert torch.isfinite(terms_of(model, batch, infer(model, batch)).total)
    assert sorted(asked) == ["W", "rows"]


def test_charts_learn_the_names_without_torch():
    assert loaded_by("import gpovae_core.plots.training as t; t.all_terms()", HEAVY) == set()
