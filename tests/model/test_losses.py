"""Every term of the loss against an independent float64 formula; and the mistakes of the released code, each
caught by a test.
"""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from torch.distributions import Bernoulli
from torch.distributions import Normal as TorchNormal

from gpovae_core.config import LossSettings, ModelSettings
from gpovae_core.data.batches import Batch, SparseCounts, TrainingConstants
from gpovae_core.model import likelihood
from gpovae_core.model.hops import literal_paper_series
from gpovae_core.model.layers import (
    BlockLinear,
    Normal,
    bernoulli_log_ratio,
    normal_kl,
    standard_normal_log_ratio,
    straight_through_bernoulli,
)
from gpovae_core.model.likelihood import MEAN_FLOOR, mean_log_prob
from gpovae_core.model.loss import (
    LossInputs,
    LossTerms,
    PlateWeights,
    balanced_weights,
    loss_terms,
    row_weights,
)
from gpovae_core.model.losses import alignment
from gpovae_core.model.losses.alignment import misfit
from gpovae_core.model.losses.sparsity import sparsity
from gpovae_core.model.module import GpoVae, GuideNoise, Inference
from tests.conftest import shared_folder
from tests.model.reference import gamma_poisson_log_prob, kl_as_released, kl_by_torch

SMALL = ModelSettings(latent=3, decoder_width=8, basal_width=8, embedding_width=8, embedding_layers=2)
N, GENES, PARTICLES = 6, 5, 2


def make_batch(dosage: list[list[float]], group: list[int], artifact: list[int], seed: int = 0) -> Batch:
    """Cells with random counts; `dosage` (U, n) by rows."""
    rng = np.random.default_rng(seed)
    table = torch.tensor(dosage)
    cells = len(group)
    effects = torch.tensor(rng.random((cells, N)), dtype=torch.float32) * table[group].any(dim=1)[:, None]
    counts = torch.tensor(rng.poisson(3.0, (cells, GENES)), dtype=torch.float32)
    wanted, profile = torch.unique(2 * torch.tensor(group) + 1 - torch.tensor(artifact), return_inverse=True)
    return Batch(
        counts=SparseCounts.of(sparse.csr_matrix(counts.numpy())),
        library_size=counts.sum(dim=1).clamp(min=1),
        artifact=torch.tensor(artifact, dtype=torch.float32),
        effects=effects,
        group=torch.tensor(group),
        dosage=table,
        rows=torch.arange(N)[table.any(dim=0)],
        profile=profile,
        profiles=torch.tensor(rng.poisson(3.0, (len(wanted), GENES)), dtype=torch.float32),
        profile_group=wanted // 2,
        profile_label=wanted % 2,
        has_profile=torch.ones(len(wanted)),
    )


def one_hot(*genes: int) -> list[float]:
    return [1.0 if i in genes else 0.0 for i in range(N)]


def infer(model: GpoVae, batch: Batch, seed: int = 0):
    torch.manual_seed(seed)
    noise = [model.guide.noise(PARTICLES, len(batch.rows)) for _ in range(2)]
    return model.infer(batch, noise[0], noise[1], torch.randn(PARTICLES, len(batch.group), SMALL.latent))


def terms_of(model: GpoVae, batch: Batch, inference: Inference, **settings: float) -> LossTerms:
    return loss_terms(LossInputs(model, batch, inference, WEIGHTS, torch.arange(N), LossSettings(**settings)))


def make_model(seed: int = 0) -> GpoVae:
    torch.manual_seed(seed)
    model = GpoVae(SMALL, n=N, genes=GENES)
    torch.nn.init.normal_(model.guide.mask_logits)
    return model


def plate(
    cells_per_gene: list[float], failing: int = 2, cells: int = 10, balance: bool = True
) -> PlateWeights:
    constants = TrainingConstants(np.array(cells_per_gene), failing, cells, np.zeros(GENES), np.ones(GENES))
    return PlateWeights.from_constants(constants, balance)


WEIGHTS = plate([2.0, 3.0, 1.0, 0.0, 0.0, 0.0])
BATCH = ([one_hot(), one_hot(0), one_hot(1), one_hot(0, 2)], [0, 1, 1, 2, 3, 0], [0, 1, 0, 0, 1, 0])


@pytest.mark.parametrize(("concentration", "mean"), [(0.2, 0.05), (1.0, 3.0), (30.0, 200.0)])
def test_gamma_poisson_against_scipy(concentration, mean):
    counts = np.arange(40.0)
    ours = gamma_poisson_log_prob(
        torch.tensor(counts),
        torch.tensor(mean, dtype=torch.float64),
        torch.tensor(concentration, dtype=torch.float64),
    )
    np.testing.assert_allclose(
        ours, stats.nbinom.logpmf(counts, concentration, concentration / (concentration + mean)), rtol=1e-10
    )


def test_gamma_poisson_fixture():
    fixture = {
        k: torch.as_tensor(v) for k, v in np.load(shared_folder("fixtures") / "gamma_poisson.npz").items()
    }
    x = next(v for k, v in fixture.items() if k.lower() in {"x", "counts"})
    library = next(v for k, v in fixture.items() if k.startswith("library"))
    share = torch.softmax(fixture["logits"].double(), dim=-1)
    ours = gamma_poisson_log_prob(
        x.double(), share * library.double().reshape(-1, 1) + MEAN_FLOOR, fixture["concentration"].double()
    )
    torch.testing.assert_close(ours.sum(-1), fixture["log_prob_f64"].double().sum(-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 60, 1 << 20])
def test_mean_log_prob_is_the_formula_with_its_gradients(monkeypatch, chunk):
    monkeypatch.setattr(likelihood, "CHUNK", chunk)
    torch.manual_seed(0)
    hidden = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    head, concentration = (
        torch.nn.Linear(3, 5).double(),
        torch.randn(5, dtype=torch.float64, requires_grad=True),
    )
    counts = torch.poisson(torch.full((7, 5), 1.5, dtype=torch.float64))
    library, weight = counts.sum(1) + 1, torch.rand(7, dtype=torch.float64)
    shift, group = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 3, 3, 1, 0, 2, 3])
    stored = SparseCounts.of(sparse.csr_matrix(counts.numpy()))
    fused = mean_log_prob(hidden, head, concentration, stored, library, weight, shift, group)
    mean = torch.softmax(head(hidden) + shift[group], dim=-1) * library[:, None] + MEAN_FLOOR
    plain = (gamma_poisson_log_prob(counts, mean, concentration.exp()).sum(-1) * weight).mean()
    torch.testing.assert_close(fused, plain)
    wanted = [hidden, *head.parameters(), concentration]
    for ours, theirs in zip(
        torch.autograd.grad(3 * fused, wanted), torch.autograd.grad(3 * plain, wanted), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_kl_of_two_normals():
    first, second = Normal(torch.tensor(1.0), torch.tensor(1.0)), Normal(torch.tensor(0.0), torch.tensor(2.0))
    assert float(normal_kl(first, second)) == pytest.approx(0.4431, abs=1e-4)  # mistake 1 gives 0.818
    assert float(normal_kl(first, first)) == 0.0
    rng = torch.Generator().manual_seed(0)
    a, b = (Normal(torch.randn(4, 5, generator=rng), torch.rand(4, 5, generator=rng) + 0.1) for _ in range(2))
    torch.testing.assert_close(normal_kl(a, b), kl_by_torch(a, b))


def test_kl_fixture_and_how_the_released_one_differs():
    fixture = {k: torch.as_tensor(v) for k, v in np.load(shared_folder("fixtures") / "kl_cf.npz").items()}
    first, second = Normal(fixture["mu1"], fixture["sigma1"]), Normal(fixture["mu2"], fixture["sigma2"])
    torch.testing.assert_close(normal_kl(first, second), fixture["kl_true_elementwise"])
    torch.testing.assert_close(kl_as_released(first, second), fixture["kl_code_total"].reshape(()))


def test_log_ratios_against_torch():
    rng = torch.Generator().manual_seed(1)
    posterior = Normal(torch.randn(6, generator=rng), torch.rand(6, generator=rng) + 0.1)
    sample = torch.randn(6, generator=rng)
    expected = TorchNormal(0.0, 1.0).log_prob(sample) - TorchNormal(posterior.mean, posterior.std).log_prob(
        sample
    )
    torch.testing.assert_close(standard_normal_log_ratio(sample, posterior), expected.sum(-1))
    logits, drawn = torch.randn(6, generator=rng), torch.tensor([0.0, 1, 1, 0, 1, 0])
    expected = Bernoulli(torch.tensor(0.3)).log_prob(drawn) - Bernoulli(logits=logits).log_prob(drawn)
    torch.testing.assert_close(bernoulli_log_ratio(drawn, logits, 0.3), expected)


def test_straight_through_mask_has_the_right_frequency_and_the_relaxed_gradient():
    logits = torch.tensor([-2.0, 0.0, 1.5], requires_grad=True)
    uniform = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(0))
    mask = straight_through_bernoulli(logits, uniform, 1.0)
    torch.testing.assert_close(mask.detach(), mask.detach().round(), rtol=0, atol=1e-6)
    torch.testing.assert_close(mask.mean(0).detach(), torch.sigmoid(logits.detach()), atol=0.015, rtol=0)
    (gradient,) = torch.autograd.grad(mask.sum(), logits)
    soft = torch.sigmoid(logits + uniform.clamp(1e-7, 1 - 1e-7).logit())
    torch.testing.assert_close(gradient, (soft * (1 - soft)).sum(0).detach(), rtol=1e-3, atol=1e-3)


def test_block_linear_is_a_linear_layer_on_the_concatenation():
    torch.manual_seed(0)
    layer = BlockLinear({"a": 3, "b": 4}, 5)
    a, b = torch.randn(7, 3), torch.randn(7, 4)
    whole = torch.cat([layer.weights["a"], layer.weights["b"]], dim=1)
    torch.testing.assert_close(layer.block("a", a) + layer.block("b", b), torch.cat([a, b], dim=1) @ whole.T)
    torch.testing.assert_close(
        layer.columns("b", torch.tensor([2, 0])), layer.block("b", torch.eye(4)[[2, 0]])
    )
    assert whole.abs().max() <= 1 / math.sqrt(7)  # bounds of the undivided layer


def test_offsets_are_dosage_times_masked_effects():
    model, batch = make_model(), make_batch(*BATCH)
    draw = infer(model, batch).draw
    full = torch.zeros(PARTICLES, N, N)
    full[:, batch.rows] = draw.mask * draw.effect
    torch.testing.assert_close(draw.offsets(batch.dosage), batch.dosage @ full)
    assert draw.offsets(batch.dosage)[:, 0].abs().max() == 0  # control


def test_effect_rows_do_not_depend_on_which_other_rows_are_asked_for():
    model = make_model()
    noise = model.guide.noise(PARTICLES, 3)
    both = model.guide.sample(torch.tensor([0, 2, 4]), noise)
    alone = model.guide.sample(
        torch.tensor([2]), GuideNoise(noise.mask[:, 1:2], noise.effect[:, 1:2], noise.artifact)
    )
    torch.testing.assert_close(both.effect[:, 1:2], alone.effect)


def test_basal_posterior_equals_the_network_on_the_concatenated_input():
    model, batch = make_model(), make_batch(*BATCH)
    inference = infer(model, batch)
    guide, draw = model.guide, inference.draw
    standardised = (batch.counts.dense().log1p() - guide.log_mean) / guide.log_std
    offsets = draw.offsets(batch.dosage)[:, batch.group]
    label = batch.artifact[:, None] * draw.artifact
    whole = torch.cat([guide.basal.first.weights[name] for name in ("counts", "offset", "artifact")], dim=1)
    stacked = torch.cat([standardised.expand(PARTICLES, -1, -1), offsets, label], dim=-1)
    expected = guide.basal_head(guide.basal(stacked @ whole.T + guide.basal.first.bias))
    torch.testing.assert_close(inference.basal_posterior.mean, expected.mean)
    torch.testing.assert_close(inference.basal_posterior.std, expected.std)


def test_reconstruction_scores_every_cell_under_its_own_label():
    model, batch = make_model(), make_batch(*BATCH)
    inference = infer(model, batch)
    first = model.decoder.mlp.first
    for cell, failing in enumerate(batch.artifact.tolist()):
        offset = inference.offsets[:, batch.group[cell]]
        stacked = torch.cat(
            [inference.basal[:, cell], offset, inference.draw.artifact[:, 0] * failing], dim=-1
        )
        whole = torch.cat([first.weights[name] for name in ("basal", "offset", "artifact")], dim=1)
        share = torch.softmax(model.decoder.head(model.decoder.mlp(stacked @ whole.T + first.bias)), dim=-1)
        mean = share * batch.library_size[cell] + MEAN_FLOOR
        expected = (
            gamma_poisson_log_prob(batch.counts.dense()[cell], mean, model.decoder.log_concentration.exp())
            .sum(-1)
            .mean()
        )
        only = torch.zeros(len(batch.group))
        only[cell] = len(batch.group)
        torch.testing.assert_close(model.mean_log_prob(batch, inference, only), expected)


def test_plate_weights_fixture():
    fixture = {
        k: torch.as_tensor(v) for k, v in np.load(shared_folder("fixtures") / "plated_reweight.npz").items()
    }
    terms = next(v for k, v in fixture.items() if v.dim() == 3 and v.shape[1] == 8)
    out = next(v for k, v in fixture.items() if v.dim() == 3 and v.shape[1] == 24)
    dosage = next(v for k, v in fixture.items() if v.shape == (24, 8))
    counts = next(v for k, v in fixture.items() if v.shape == (8,))
    constants = TrainingConstants(counts.double().numpy(), 1, 24, np.zeros(1), np.ones(1))
    batch = make_batch([one_hot()], [0], [0])
    batch = Batch(
        **{
            **batch.__dict__,
            "dosage": dosage.float(),
            "group": torch.arange(24),
            "rows": torch.arange(8)[dosage.any(0)],
        }
    )
    weights = row_weights(batch, PlateWeights.from_constants(constants, True))
    ours = torch.einsum("r,prv->pv", weights.double(), terms[:, batch.rows].double())
    torch.testing.assert_close(ours, out.double().mean(dim=1), rtol=1e-5, atol=1e-7)


def test_mini_batches_add_up_to_the_full_bound():
    """Over an epoch each perturbed gene's row counts once, whatever the batches: sum_b B_b * row_weights = 1
    per gene.
    """
    groups = [0, 1, 1, 1, 2, 2, 0, 1, 2, 2]
    dosage = [one_hot(), one_hot(0), one_hot(1)]
    weights = plate([4.0, 4.0, 0.0, 0.0, 0.0, 0.0])
    for cuts in ([0, 10], [0, 3, 10], [0, 1, 2, 5, 9, 10]):
        total = torch.zeros(N)
        for start, stop in itertools.pairwise(cuts):
            batch = make_batch(dosage, groups[start:stop], [0] * (stop - start))
            total[batch.rows] += row_weights(batch, weights) * (stop - start)
        torch.testing.assert_close(total, torch.tensor([1.0, 1, 0, 0, 0, 0]))


def test_balance_comes_from_the_training_set_with_mean_one():
    for share in (0.04, 0.3, 0.5):
        passing, failing = balanced_weights(share)
        assert (1 - share) * passing + share * failing == pytest.approx(1)
        assert (1 - share) * passing == pytest.approx(share * failing)  # both groups count alike
        assert passing / failing == pytest.approx(share / (1 - share))
    assert balanced_weights(0.0) == balanced_weights(1.0) == (1.0, 1.0)


def test_a_batch_without_failing_cells_still_has_a_reconstruction():
    model = make_model()  # mistake 3: alpha of the batch would be zero
    batch = make_batch(BATCH[0], BATCH[1], [0] * 6)
    assert float(terms_of(model, batch, infer(model, batch)).detached()["reconstruction"]) > 1.0


def test_kl_terms_against_torch_by_loops():
    model, batch = make_model(), make_batch(*BATCH)
    inference = infer(model, batch)
    draw = inference.draw
    terms = terms_of(model, batch, inference).by_key
    mask = effect = artifact = 0.0
    logits = model.guide.mask_logits[batch.rows]
    per_gene = [1 / 2, 1 / 3, 1.0]
    for p in range(PARTICLES):
        for cell in range(6):
            for r, gene in enumerate(batch.rows.tolist()):
                if batch.dosage[batch.group[cell], gene]:
                    m, e = draw.mask[p, r].detach().round(), draw.effect[p, r]
                    mask -= (
                        per_gene[gene]
                        * (
                            Bernoulli(torch.tensor(0.3)).log_prob(m) - Bernoulli(logits=logits[r]).log_prob(m)
                        ).sum()
                    )
                    q = TorchNormal(draw.effect_posterior.mean[p, r], draw.effect_posterior.std[p, r])
                    effect -= per_gene[gene] * (TorchNormal(0.0, 1.0).log_prob(e) - q.log_prob(e)).sum()
            if batch.artifact[cell]:
                u = draw.artifact[p, 0]
                q = TorchNormal(draw.artifact_posterior.mean[0], draw.artifact_posterior.std[0])
                artifact -= (TorchNormal(0.0, 1.0).log_prob(u) - q.log_prob(u)).sum() / 2
    scale = PARTICLES * 6
    torch.testing.assert_close(terms["kl_mask"], mask / scale, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["kl_effect"], effect / scale, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["kl_artifact"], artifact / scale, rtol=1e-4, atol=1e-5)


def test_artifact_term_is_a_mean_over_cells_and_skips_cells_without_a_counterfactual():
    model, batch = make_model(), make_batch(*BATCH)
    inference = infer(model, batch)
    profile, flipped = inference.counterfactual_posterior, inference.flipped_posterior
    per_cell = []
    for cell in range(6):
        own = int(batch.profile[cell])
        assert (int(batch.profile_group[own]), int(batch.profile_label[own])) == (
            batch.group[cell],
            1 - batch.artifact[cell],
        )
        per_cell.append(kl_by_torch(profile[:, own], flipped[:, cell]).sum(-1).mean())
    terms = terms_of(model, batch, inference, artifact=3.0)
    torch.testing.assert_close(terms.by_key["artifact"], 3 * torch.stack(per_cell).mean())
    none = Batch(**{**batch.__dict__, "has_profile": torch.zeros(len(batch.profiles))})
    assert float(terms_of(model, none, inference, artifact=3.0).detached()["artifact"]) == 0.0


@pytest.mark.parametrize("kind", ["paper", "released"])
def test_alignment_against_full_powers(kind):
    batch = make_batch(*BATCH)
    matrix = torch.rand(N, N, generator=torch.Generator().manual_seed(3))
    measured = torch.tensor([0, 1, 3, 5])
    batch = Batch(**{**batch.__dict__, "effects": batch.effects[:, measured]})
    coefficients = (
        [1.0, *(1 / (k * N ** (k - 1)) for k in (2, 3))] if kind == "paper" else [1 / N**k for k in range(4)]
    )
    whole = sum(c * torch.linalg.matrix_power(matrix, k) for k, c in enumerate(coefficients, 1))
    target = batch.effects - (0.5 if kind == "released" else 0.0)
    expected = (batch.dosage[batch.group] @ whole[:, measured] - target).abs().mean()
    settings = LossSettings(influence=kind, hops=3, effect_offset=0.5)
    torch.testing.assert_close(misfit(matrix, batch, measured, settings), expected)


def fixture_batch(fixture: dict[str, torch.Tensor]) -> Batch:
    """The 24 cells of khop.npz, each a group of its own."""
    values = {
        "dosage": fixture["D"],
        "group": torch.arange(24),
        "effects": fixture["deltaX"],
        "rows": torch.arange(8)[fixture["D"].any(0)],
    }
    return Batch(**{**make_batch([one_hot()], [0], [0]).__dict__, **values})


def test_alignment_fixture():
    fixture = {k: torch.as_tensor(v) for k, v in np.load(shared_folder("fixtures") / "khop.npz").items()}
    batch = fixture_batch(fixture)
    ours = 100 * misfit(fixture["A_logits"], batch, torch.arange(8), LossSettings(effect_offset=0.5, hops=5))
    torch.testing.assert_close(ours, fixture["grn_loss_code_logits"].reshape(()))


def test_the_published_norms_are_sums_over_the_batch(monkeypatch):
    """J = ||D T_K - dX||_1 + ||W||_1 with the literal T_K, on the matrix that the fixture takes for W."""
    fixture = {k: torch.as_tensor(v) for k, v in np.load(shared_folder("fixtures") / "khop.npz").items()}
    batch, w = fixture_batch(fixture), fixture["A_logits"]
    monkeypatch.setattr(alignment, "hop_series", lambda kind, n, hops: literal_paper_series(n, hops))
    settings = LossSettings(influence="paper", hops=5, norms="sum", alignment=1.0, sparsity=1.0)
    aligned = 24 * misfit(w, batch, torch.arange(8), settings)
    torch.testing.assert_close(aligned, fixture["J_paper_l1_align"].reshape(()))
    model = SimpleNamespace(guide=SimpleNamespace(given=False), has_network=True, edge_probabilities=w.abs)
    given = LossInputs(cast(Any, model), batch, cast(Any, None), WEIGHTS, torch.arange(8), settings)
    torch.testing.assert_close(24 * sparsity(given), fixture["J_paper_l1_W"].reshape(()))
    torch.testing.assert_close(aligned + 24 * sparsity(given), fixture["J_paper_logits_sum"].reshape(()))


def test_sums_are_the_means_times_genes_and_entries():
    model, batch = make_model(), make_batch(*BATCH)
    inference, measured = infer(model, batch), torch.tensor([0, 1, 3, 5])
    batch = Batch(**{**batch.__dict__, "effects": batch.effects[:, measured]})

    def terms(norms: str, step_cells: int | None = None) -> dict[str, torch.Tensor]:
        settings = LossSettings(influence="paper", norms=norms, alignment=0.3, sparsity=0.7)
        given = LossInputs(model, batch, inference, WEIGHTS, measured, settings, 1.0, step_cells)
        return loss_terms(given).detached()

    mean, total = terms("mean"), terms("sum")
    torch.testing.assert_close(total["alignment"], 4 * mean["alignment"])
    torch.testing.assert_close(total["sparsity"], N**2 * mean["sparsity"] / len(batch.group))
    # a last batch of 6 cells, or one of several processes, of a step of 48: W costs an eighth
    torch.testing.assert_close(terms("sum", 48)["sparsity"], total["sparsity"] / 8)
    torch.testing.assert_close(terms("sum", 48)["alignment"], total["alignment"])
    torch.testing.assert_close(terms("mean", 48)["sparsity"], mean["sparsity"])


@pytest.mark.parametrize(
    ("dosage", "group", "artifact"),
    [
        ([one_hot()], [0, 0, 0], [0, 0, 1]),  # controls only
        ([one_hot(2)], [0, 0], [0, 0]),  # one perturbation only
        ([one_hot(), one_hot(1)], [0, 1], [1, 1]),  # every cell an artifact
        ([one_hot(0, 1)], [0, 0], [0, 1]),  # a combination
    ],
)
def test_odd_batches_have_finite_losses_and_gradients(dosage, group, artifact):
    model, batch = make_model(), make_batch(dosage, group, artifact)
    terms = terms_of(model, batch, infer(model, batch))
    assert torch.isfinite(terms.total)
    terms.total.backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_an_unmeasured_gene_keeps_its_row_and_has_no_column_in_the_alignment():
    batch = make_batch([one_hot(5)], [0], [0])
    measured = torch.arange(5)
    batch = Batch(**{**batch.__dict__, "effects": batch.effects[:, :5]})
    matrix = torch.rand(N, N, requires_grad=True)
    misfit(matrix, batch, measured, LossSettings(hops=1, influence="paper")).backward()
    assert matrix.grad is not None
    assert (matrix.grad[5, :5] != 0).all()
    assert matrix.grad[5, 5] == 0
