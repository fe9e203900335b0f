"""Signs follow what was done to the genes, from the file to the fit and to the words of What if."""

from __future__ import annotations

import numpy as np
from anndata import AnnData, concat
from scipy.special import expit

from gpovae_core.config import make_settings
from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.questions.reach import Reach

CONTROL = "non-targeting"


def drawn(direction: str) -> Simulation:
    return simulate(
        SimulationSettings(
            genes=30,
            perturbations=8,
            cells=1500,
            network="chains",
            library_median=3000,
            seed=3,
            low_quality_share=0.0,
            doublet_share=0.0,
            mitochondrial_genes=0,
            direction=direction,  # type: ignore[arg-type]
        )
    )


def found(cells: AnnData, truth: Simulation) -> tuple[NetworkFit, Reach, list[bool]]:
    """The network stage, the reach of the screen, and of every true edge that is found whether its sign is
    right.
    """
    data = {"detect_doublets": False, "artifact_criteria": []}
    settings = make_settings("evidence", {"data": data, "network": {"null_draws": 1}})
    prepared = prepare(cells, settings.data)
    fit = fit_network(prepared, settings)
    index = prepared.panel.index
    places = [
        (index[source], index[target], weight)
        for source, target, weight in truth.edges[["source", "target", "weight"]].itertuples(index=False)
        if source in index and target in index
    ]
    weights = expit(fit.log_odds)
    right = [bool(fit.strength[i, j] * weight > 0) for i, j, weight in places if weights[i, j] > 0.5]
    return fit, Reach.of(prepared, settings, fit.as_kept()), right


def test_an_activation_that_the_file_states_is_fitted_as_one_where_no_target_is_measured() -> None:
    made = drawn("activation")
    targets = sorted(set(made.adata.obs["perturbation"].astype(str)) - {CONTROL})
    cells = made.adata[:, ~made.adata.var_names.isin(targets)].copy()
    cells.obs["perturbation_type"] = "CRISPRa"
    fit, reach, right = found(cells, made)
    assert len(right) >= 3
    assert all(right)
    assert set(fit.own.kind) == {ACTIVATION}
    assert reach.strength(targets[0], None).in_words() == "is activated to 2.0 x of its mRNA"


def test_one_activated_gene_among_knock_downs_goes_its_own_way() -> None:
    down, up = drawn("knock-down"), drawn("activation")
    targets = sorted(set(down.adata.obs["perturbation"].astype(str)) - {CONTROL})
    regulating = set(down.edges["source"])
    raised = next(gene for gene in targets if gene in regulating)
    parts = [
        down.adata[down.adata.obs["perturbation"] != raised].copy(),
        up.adata[up.adata.obs["perturbation"] == raised].copy(),
    ]
    for number, part in enumerate(parts):
        part.obs_names = [f"{number}{name}" for name in part.obs_names]
    fit, reach, right = found(concat(parts), down)
    assert len(right) >= 6
    assert all(right)
    place = reach.panel.position(raised)
    assert fit.own.kind[place] == ACTIVATION
    others = np.array([reach.panel.position(gene) for gene in targets if gene != raised])
    assert set(fit.own.kind[others]) == {KNOCK_DOWN}
    assert "is activated to" in reach.strength(raised, None).in_words()
