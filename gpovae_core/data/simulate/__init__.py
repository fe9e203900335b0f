"""Simulated Perturb-seq with a known network: for trying things out, for tests and for measuring how well a
network is found.

The generative process, for cell c, network genes i and j, natural logarithms:

    network         B[i, j] is the signed strength of the edge i -> j (row = source, column = target), sparse
                    and acyclic
    strength        a_j = log(1 - e_j), e_j ~ Beta(mean, spread), for a gene that is knocked down or out;
                    a_j = log fold_j, fold_j log-normal, for one that is activated; a gene in both directions
                    has both, each in cells of its own
    guide           w[u, j] log-normal with median 1; guide u of gene j forces w[u, j] a_j on j and, where it
                    has an off-target, on one other gene too
    forced          d[c, j] = v[donor of c, j] times what the guide of c forces on j, if c did not escape,
                    else 0; v log-normal with median 1
    interaction     g[c, j] = +-strength if c carries both guides of an interacting pair that names j and did
                    not escape, else 0
    state           q[c] is 1 for a share of all cells, and for another share of those that did not escape a
                    perturbation which moves cells between the states
    basal state     b[c, j] = sum_f z[c, f] L[f, j] + q[c] M[j] + noise;   z = (cos, sin) of a uniform phase
                    (a cycle), L ~ Normal(0, factor_spread), M ~ Normal(0, state_spread) in some of the genes
    activity        h[c, j] = b[c, j] + d[c, j] + g[c, j] + sum_i B[i, j] s tanh(h[c, i] / s),   solved
                    exactly, sources before targets
    own mRNA        r[c, j] = h[c, j], without d[c, j] where j is silent: its loss does not show in its mRNA
    share           p[c, j] = (1 - m[c]) softmax_j(log base_j + effect of the batch of c on j + effect of the
                    donor of c on j + r[c, j]);   base_j log-normal
    mito            m[c] ~ logit-normal share of the MT- genes, which are outside the network
    counts          x[c, j] ~ Poisson(Gamma(mean = l[c] p[c, j], variance = over_dispersion mean^2));   l[c]
                    log-normal, times the library effect of the perturbation where c did not escape

h is a log fold change against the unperturbed mean, so a knock-down multiplies the gene's own expression by 1
- e_j, and s, the saturation, is the largest log fold change of a source that its targets still feel. Silent
genes stand for knock-outs: a frame shift takes the protein, which the targets feel, and leaves the
transcript; direction "knock-out" makes every perturbed gene silent, silent_share some of those that are
knocked down. A low-quality cell has a fraction of the library size and a multiple of the mitochondrial share.
A doublet is the sum of a cell and a second, good one, of the same batch and donor and with a label drawn like
all others (of the batch, where batches are not balanced). Where they are not, a perturbation has a batch of
its own, from which each of its cells comes with probability `batch_imbalance`. Everything follows from the
seed, and what one setting adds changes nothing of what the others draw.
"""

from __future__ import annotations

import numpy as np

from gpovae_core.data.simulate import droplets, genes
from gpovae_core.data.simulate.counts import draw_counts
from gpovae_core.data.simulate.network import draw_network
from gpovae_core.data.simulate.paths import HOPS, downstream
from gpovae_core.data.simulate.result import (
    BATCH,
    CONTROL_LABEL,
    DONOR,
    DOUBLET,
    DOUBLET_WITH,
    ESCAPED,
    GUIDE,
    LOW_QUALITY,
    STATE,
    TRUE_DONORS,
    TRUE_GUIDES,
    TRUE_PERTURBATIONS,
    Simulation,
    annotate,
    edge_table,
    interaction_table,
)
from gpovae_core.data.simulate.settings import SimulationSettings

__all__ = [
    "BATCH",
    "CONTROL_LABEL",
    "DONOR",
    "DOUBLET",
    "DOUBLET_WITH",
    "ESCAPED",
    "GUIDE",
    "HOPS",
    "LOW_QUALITY",
    "STATE",
    "TRUE_DONORS",
    "TRUE_GUIDES",
    "TRUE_PERTURBATIONS",
    "Simulation",
    "SimulationSettings",
    "downstream",
    "simulate",
]

# The place of a name here is its seed: new ones go to the end.
_DRAWN = (
    *("network", "gene", "label", "cell", "interaction"),
    *("activation", "donor", "state", "guide", "batch", "library", "donor_of_cell", "state_of_cell"),
    "both",
)


def simulate(settings: SimulationSettings | None = None) -> Simulation:
    """Draw cells and their network by the process in the module's docstring; the same settings give the same
    data.
    """
    settings = settings or SimulationSettings()
    seeds = np.random.SeedSequence(settings.seed).spawn(len(_DRAWN))
    rng = {name: np.random.default_rng(seed) for name, seed in zip(_DRAWN, seeds, strict=True)}
    network = draw_network(settings, rng["network"])
    drawn = genes.draw_genes(
        settings,
        network.perturbed,
        genes.Draws(rng["gene"], rng["activation"], rng["donor"], rng["state"], rng["both"]),
    )
    labels, guides, who = droplets.draw_droplets(
        settings,
        network.perturbed,
        drawn,
        droplets.Draws(
            rng["label"],
            rng["guide"],
            rng["batch"],
            rng["donor_of_cell"],
            rng["library"],
            rng["state_of_cell"],
        ),
    )
    beyond = droplets.draw_interactions(settings, network.perturbed, labels.targets, rng["interaction"])
    counts = draw_counts(settings, network, drawn, labels, guides, beyond, who, rng["cell"])
    cells = annotate(settings, network, drawn, labels, guides, who, counts)
    return Simulation(
        cells,
        edge_table(network, drawn.names),
        interaction_table(beyond, labels.targets, drawn.names),
    )
