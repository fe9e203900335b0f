"""What a prediction rests on, in words and in a table, wherever one is shown."""

from __future__ import annotations

BADGES = {
    "seen": ":green-badge[seen in training]",
    "held out": ":orange-badge[held out]",
    "extended": ":orange-badge[extended gene: network only]",
    "seen combination": ":green-badge[combination seen in training]",
    "combination of seen genes": ":blue-badge[combination of seen genes]",
    "partly unseen combination": ":orange-badge[combination with an unseen gene]",
}
MEANING = {
    "seen": "Cells with this perturbation trained the model.",
    "held out": (
        "The run has cells of it, but none of them trained the model: the answer comes from the network "
        "alone."
    ),
    "extended": (
        "This gene was never perturbed: the answer comes from the network alone, see below how good such "
        "answers are."
    ),
    "seen combination": "Cells with exactly this combination trained the model.",
    "combination of seen genes": (
        "The model has seen each gene alone, never the combination: how they act together is its guess."
    ),
    "partly unseen combination": (
        "At least one gene is answered by the network alone, and added to the others: how they act "
        "together is not predicted."
    ),
}
