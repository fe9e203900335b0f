"""The observed log fold change over its error, as the network stage sees it: before anything is called
direct.
"""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Method


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of z."""
    assert inputs.fit is not None
    return inputs.of_pairs(np.abs(inputs.fit.z()))


METHOD = Method(
    key="z",
    order=40,
    title="log fold change over its error",
    sentence=(
        "The log fold change over its error ranks pairs by the evidence for any effect, before direct ones "
        "are told apart."
    ),
    role="baseline",
    needs=frozenset({"fit"}),
    score=score,
    scored_in=frozenset({"top"}),
)
