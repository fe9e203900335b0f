"""The predictions of effects that are scored side by side: the model's, those that need no model, and the
ceiling. Every table and sentence that lists them is made from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Prediction:
    """key: its name in evaluation.json; title: for reading, in the middle of a sentence; sentence: one, for a
    Methods paragraph; role: ours, or baseline: needs no model, or ceiling: what the noise allows.
    """

    key: str
    title: str
    sentence: str
    role: Literal["ours", "baseline", "ceiling"]


PREDICTIONS = (
    Prediction("model", "this model", "The model's prediction is its mean over draws.", "ours"),
    Prediction(
        "calibrated",
        "model with training mean",
        "The model with training mean weighs both by the uncertainty of the training mean, the weight chosen "
        "on validation cells.",
        "ours",
    ),
    Prediction(
        "train_mean",
        "training mean",
        "The training mean is the plain mean of the training cells of the same perturbation.",
        "baseline",
    ),
    Prediction(
        "linear",
        "linear model",
        "The linear model is a ridge regression on gene embeddings from a PCA of training cells.",
        "baseline",
    ),
    Prediction(
        "additive",
        "sum of single effects",
        "The sum of single effects adds up the training means of the genes of a combination.",
        "baseline",
    ),
    Prediction(
        "perturbation_mean",
        "mean over perturbations",
        "The mean over perturbations is one average effect for all.",
        "baseline",
    ),
    Prediction(
        "own_only",
        "own genes only",
        "Own genes only is the training mean of the perturbed gene itself and zero for every other.",
        "baseline",
    ),
    Prediction("no_effect", "no effect", "No effect is zero for every gene.", "baseline"),
    Prediction(
        "ceiling",
        "ceiling",
        "The ceiling is what a perfect prediction would reach against measurements as noisy as these.",
        "ceiling",
    ),
)
"""In the order of tables; of two baselines that score alike the earlier one is named."""

UNSEEN = {
    "network": "network alone",
    "perturbation_mean": "mean over perturbations",
    "mean_of_others": "the same without own falls",
    "no_effect": "no effect",
    "autoencoder": "untrained row",
    "ceiling": "ceiling",
}
"""Key in scores of perturbations held out as a whole -> its name for reading. network: the prediction;
perturbation_mean: mean over the training perturbations, as published; mean_of_others: the same without the
perturbed genes' own falls; no_effect: zero, whose correlation is undefined; autoencoder: what the untrained
mask row gives, where a model was trained without them.
"""

TITLES = {one.key: one.title for one in PREDICTIONS}
BASELINES = tuple(one.key for one in PREDICTIONS if one.role == "baseline")
