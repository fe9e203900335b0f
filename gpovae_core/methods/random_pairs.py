"""What pairs drawn at random give: an expectation, so nothing is drawn."""

from __future__ import annotations

from gpovae_core.methods.method import Look, Method

METHOD = Method(
    key="random",
    order=100,
    title="random pairs",
    sentence=(
        "Random pairs are what any network with as many edges finds by chance; their scores are expectations."
    ),
    role="chance",
    needs=frozenset(),
    score=None,
    look=Look("grey", "dot", "circle-open", 1.2),
)
