"""The trained model of a run, read from its folder."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from gpovae_core.config import TrainingSettings
from gpovae_core.errors import RunError
from gpovae_core.model.module import GpoVae
from gpovae_core.runs.folder import RunFolder


def load_model(run: RunFolder) -> GpoVae:
    """The model with the weights of the best epoch, on the CPU, in evaluation mode."""
    panel = run.panel()
    run.check_weights()  # says in words what is wrong with the file, if anything is
    weights = load_file(run.path / "model.safetensors")
    if "guide.log_mean" not in weights:
        raise RunError(
            f"Run '{run.name}' holds a network and no trained model: nothing can be predicted with it."
        )
    model = GpoVae(run.settings().model, n=len(panel), genes=len(weights["guide.log_mean"]))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"Run '{run.name}': model.safetensors does not fit the settings in config.json ({error})."
        ) from error
    return model.eval()


def asking_device(training: TrainingSettings) -> torch.device:
    """Where a trained model is asked for effects: a GPU where the training may take one and there is one."""
    wanted = training.device in ("auto", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")
