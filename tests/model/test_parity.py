"""The whole loss and its gradients against the released formulas, with every random draw injected
(full_loss_logits.npz).

The fixture holds two of the released code's mistakes, and the test reproduces them from our parts to show
that they are the only difference: the KL without its division by the variance, summed over cells; and the
balance taken from the batch.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from gpovae_core.config import LossSettings, ModelSettings
from gpovae_core.data.batches import Batch, SparseCounts
from gpovae_core.model.layers import Normal
from gpovae_core.model.loss import LossInputs, LossTerms, PlateWeights, loss_terms
from gpovae_core.model.module import GpoVae, GuideNoise, Inference
from tests.conftest import shared_folder
from tests.model.reference import kl_as_released

LATENT, GENES, N, CELLS = 4, 20, 8, 24


@pytest.fixture(scope="module")
def fixture():
    path = shared_folder("fixtures") / "full_loss_logits.npz"
    return dict(np.load(path))


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.array(values))


def split_first(weight: torch.Tensor, sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    return dict(zip(sizes, weight.split(list(sizes.values()), dim=1), strict=True))


def named(fixture: dict, kind: str) -> dict[str, torch.Tensor]:
    """Reference weights (kind 'param') or gradients ('grad') under the names of our modules."""
    old = {
        key.removeprefix(f"{kind}/"): tensor(value)
        for key, value in fixture.items()
        if key.startswith(f"{kind}/")
    }
    new = {
        "guide.mask_logits": old["guide.param_dict.q_mask_logits"],
        "decoder.log_concentration": old["model.decoder.log_concentration"],
    }

    def mlp(ours: str, theirs: str, blocks: dict[str, int], layers: int) -> None:
        for name, part in split_first(old[f"{theirs}.layers.0.0.weight"], blocks).items():
            new[f"{ours}.first.weights.{name}"] = part
        new[f"{ours}.first.bias"] = old[f"{theirs}.layers.0.0.bias"]
        for layer in range(1, layers):
            for what in ("weight", "bias"):
                new[f"{ours}.rest.{layer - 1}.{what}"] = old[f"{theirs}.layers.{layer}.0.{what}"]

    def head(ours: str, theirs: str) -> None:
        for what in ("weight", "bias"):
            new[f"{ours}.mean.{what}"] = old[f"{theirs}.mean_encoder.{what}"]
            new[f"{ours}.log_variance.{what}"] = old[f"{theirs}.log_var_encoder.{what}"]

    mlp("guide.effect", "guide.embedding_encoder.mlp", {"mask": N, "identity": N}, 4)
    head("guide.effect_head", "guide.embedding_encoder")
    mlp("guide.artifact", "guide.qc_encoder.mlp", {"constant": LATENT}, 4)
    head("guide.artifact_head", "guide.qc_encoder")
    mlp("guide.basal", "guide.z_basal_encoder.mlp", {"counts": GENES, "offset": N, "artifact": LATENT}, 1)
    head("guide.basal_head", "guide.z_basal_encoder")
    mlp("decoder.mlp", "model.decoder.mlp", {"basal": LATENT, "offset": N, "artifact": LATENT}, 2)
    for what in ("weight", "bias"):
        new[f"decoder.head.{what}"] = old[f"model.decoder.normalized_mean_decoder.0.{what}"]
    return new


@pytest.fixture(scope="module")
def model(fixture) -> GpoVae:
    settings = ModelSettings(
        latent=LATENT,
        decoder_width=14,
        decoder_layers=2,
        basal_width=12,
        basal_layers=1,
        embedding_width=16,
        embedding_layers=4,
    )
    model = GpoVae(settings, n=N, genes=GENES)
    weights = named(fixture, "param")
    weights |= {"guide.log_mean": tensor(fixture["log_mean"]), "guide.log_std": tensor(fixture["log_std"])}
    model.load_state_dict(weights, strict=True)
    return model


def batch_of(fixture) -> Batch:
    """Every cell a group of its own, since in the fixture every cell has a counterfactual of its own."""
    dosage, artifact = tensor(fixture["D"]), tensor(fixture["qc"])[:, 0]
    own = tensor(fixture["cfX"])
    other = (1 - artifact).long()
    return Batch(
        counts=SparseCounts.of(sparse.csr_matrix(fixture["X"].astype(np.float32))),
        library_size=tensor(fixture["library_size"]),
        artifact=artifact,
        effects=tensor(fixture["deltaX"]),
        group=torch.arange(CELLS),
        dosage=dosage,
        rows=torch.arange(N)[dosage.any(dim=0)],
        profile=torch.arange(CELLS),
        profiles=own,
        profile_group=torch.arange(CELLS),
        profile_label=other,
        has_profile=(own.sum(dim=1) > 0).float(),
    )


def weights_of(fixture) -> PlateWeights:
    counts = tensor(fixture["D_obs_counts"]).float()
    alpha = float(fixture["qc"].mean())
    return PlateWeights(
        gene=torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0),
        failing=1 / float(fixture["qc_obs_counts"][0]),
        cell=torch.tensor([alpha, 1 - alpha]),
    )


def run(model: GpoVae, fixture) -> tuple[Batch, Inference]:
    batch = batch_of(fixture)

    def noise(which: int) -> GuideNoise:
        mask, effect = tensor(fixture[f"noise_u{which}"]), tensor(fixture[f"noise_E{which}"])
        return GuideNoise(mask[:, batch.rows], effect[:, batch.rows], tensor(fixture[f"noise_qc{which}"]))

    return batch, model.infer(batch, noise(1), noise(2), tensor(fixture["noise_z1"]))


def test_distributions_and_samples(model, fixture):
    batch, inference = run(model, fixture)
    rows = batch.rows
    torch.testing.assert_close(inference.draw.mask, tensor(fixture["s_mask"])[:, rows])
    torch.testing.assert_close(
        inference.draw.effect_posterior.std, tensor(fixture["q_E_std"])[:, rows], rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(inference.draw.effect, tensor(fixture["s_E"])[:, rows], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(inference.draw.artifact, tensor(fixture["s_qc_E"]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(inference.basal, tensor(fixture["s_z"]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        inference.flipped_posterior.mean, tensor(fixture["q_z_cf_mean"]), rtol=1e-5, atol=1e-6
    )
    profile = inference.counterfactual_posterior[:, batch.profile]
    torch.testing.assert_close(profile.mean, tensor(fixture["cf_q_z_mean"]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(profile.std, tensor(fixture["cf_q_z_std"]), rtol=1e-5, atol=1e-6)


def settings() -> LossSettings:
    return LossSettings(
        influence="released", hops=5, alignment=100, effect_offset=0.5, sparsity=5, artifact=0.1
    )


def released_artifact(batch: Batch, inference: Inference) -> torch.Tensor:
    profile = inference.counterfactual_posterior[:, batch.profile]
    has = batch.has_profile[batch.profile] > 0
    flipped: Normal = inference.flipped_posterior[:, has]
    return 0.1 * kl_as_released(profile[:, has], flipped)


def terms_of(model: GpoVae, batch: Batch, inference: Inference, fixture) -> LossTerms:
    return loss_terms(LossInputs(model, batch, inference, weights_of(fixture), torch.arange(N), settings()))


def test_terms(model, fixture):
    batch, inference = run(model, fixture)
    terms = terms_of(model, batch, inference, fixture).detached()
    theirs = {
        "reconstruction": "loss_term_reconstruction",
        "kl_mask": "loss_term_mask",
        "kl_effect": "loss_term_E",
        "kl_artifact": "loss_term_qc_E",
        "kl_basal": "loss_term_z_basal",
        "alignment": "grn_loss",
        "sparsity": "penalty",
    }
    for ours, name in theirs.items():
        assert float(terms[ours]) == pytest.approx(float(fixture[f"term/{name}"]), rel=1e-5), ours
    assert float(released_artifact(batch, inference).detach()) == pytest.approx(
        float(fixture["term/cf_KLdivergence"]), rel=1e-5
    )
    assert float(terms["artifact"]) != pytest.approx(float(fixture["term/cf_KLdivergence"]), rel=0.5)


def test_loss_and_gradients(model, fixture):
    batch, inference = run(model, fixture)
    terms = terms_of(model, batch, inference, fixture)
    loss = terms.total - terms.by_key["artifact"] + released_artifact(batch, inference)
    assert float(loss.detach()) == pytest.approx(float(fixture["loss"]), rel=1e-6)
    model.zero_grad()
    loss.backward()
    expected = named(fixture, "grad")
    for name, parameter in model.named_parameters():
        error = (parameter.grad - expected[name]).norm() / expected[name].norm().clamp(min=1e-12)
        assert float(error) < 1e-4, name
