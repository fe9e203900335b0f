"""A run, opened in Python: its network, effects, predictions and scores, as graphs and tables."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.errors import GpoVaeError, QueryError, RunError
from gpovae_core.runs.folder import RunFolder, runs_folder
from gpovae_core.runs.folder import find_runs as _find_runs
from gpovae_core.runs.shipped import DEMOS, REAL_DEMO

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.config import Settings
    from gpovae_core.data.progress import Progress
    from gpovae_core.data.schema import PreparedCells
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.evaluation.scores import Evaluation
    from gpovae_core.network.grn import GeneNetwork
    from gpovae_core.network.inspection import EdgeInspection, HeldOutCells
    from gpovae_core.network.references import ReferenceNetwork
    from gpovae_core.questions.whatif import Respondent


class Run:
    """A run: one training on one file of cells, with everything that came out of it.

    Made by `open_run`, `open_demo`, `find_runs`, `train` and `network_from_effects`. What a question needs is
    read from the folder when it is first asked, and kept; nothing in the folder is executed. A run whose
    folder has changed since (trained further, scored again) is to be opened anew.

    Parameters
    ----------
    path : str or Path
        Folder of the run.

    Attributes
    ----------
    path : Path
        Folder of the run.
    name : str
        Name of that folder.

    Raises
    ------
    GpoVaeError
        Where there is no run, or a newer version of gpovae wrote it.

    Examples
    --------
    >>> import gpovae_core as gp
    >>> run = gp.open_demo()
    >>> run
    Run 'papalexi2021-demo': done, 167 genes, 23 of them perturbed
    """

    def __init__(self, path: str | Path) -> None:
        self._folder = RunFolder.open(Path(path))
        self.path = self._folder.path
        self.name = self._folder.name

    def __repr__(self) -> str:
        if not self._folder.has("panel.json"):
            return f"Run '{self.name}': {self.state}"
        perturbed = len(self.perturbations)
        return f"Run '{self.name}': {self.state}, {len(self.genes):,} genes, {perturbed:,} of them perturbed"

    # What it is ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """What is being done with the run, or how that ended.

        Returns
        -------
        str
            'queued', 'preparing', 'training', 'evaluating', 'stopped', 'done', 'failed' or 'imported'.

        Examples
        --------
        >>> gp.open_demo().state
        'done'
        """
        return self._folder.status().state

    @property
    def settings(self) -> Settings:
        """All settings of the run, by section.

        Returns
        -------
        Settings
            Sections `data`, `model`, `network`, `loss`, `training`, `inference` and `evaluation`, frozen.

        Examples
        --------
        >>> settings = gp.open_demo().settings
        >>> settings.preset, settings.evaluation.threshold
        ('evidence', 0.5)
        """
        return self._folder.settings()

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes of the panel, in the order of W.

        Returns
        -------
        tuple of str
            (n,) the perturbed genes, then the others.

        Examples
        --------
        >>> len(gp.open_demo().genes)
        167
        """
        return self._folder.panel().genes

    @property
    def perturbations(self) -> tuple[str, ...]:
        """Genes of the panel that were perturbed in the screen.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> gp.open_demo().perturbations[:3]
        ('ATF2', 'BRD4', 'CAV1')
        """
        return self._folder.panel().data.perturbed

    @property
    def scores(self) -> Evaluation:
        """Scores on held-out cells, each beside its baselines and its ceiling, as `gpovae evaluate` and the
        page Benchmark have them.

        Returns
        -------
        Evaluation
            `response` (ATE-rho and others; correlations, or log2), `network` (mu-WD in log(1 + counts per
            10,000), FOR, edges), `calibration`, `unseen` and more; None where a part was not measured.

        Raises
        ------
        GpoVaeError
            Where the run was not scored.

        See Also
        --------
        score_table : the same as one table.

        Examples
        --------
        >>> run = gp.open_demo()
        >>> run.scores.network.edges_total == len(run.edges())
        True
        """
        from gpovae_core.evaluation.stored import read_evaluation

        found = read_evaluation(self._folder)
        if found is None:
            raise RunError(f"Run '{self.name}' has no scores yet: gpovae evaluate {self.path}")
        return found

    def score_table(self) -> pd.DataFrame:
        """Every score in one row, beside its baseline, the best simple method and its ceiling.

        Returns
        -------
        pandas.DataFrame
            A row for each score: `group` (response or network), `score`, `value`, `baseline`, `best_simple`
            (the strongest method without a model), `ceiling`, `share` ((value - baseline) / (ceiling -
            baseline)), `rests_on` (cells, perturbations or edges, in words) and `meaning`. NaN where a
            number is unknown.

        Examples
        --------
        >>> table = gp.open_demo().score_table()
        >>> table.loc[0, ["score", "rests_on"]].tolist()
        ['ATE-rho, all effects pooled', '23 perturbations, 1,236 cells']
        """
        import pandas as pd

        from gpovae_core.evaluation.summary import lines

        columns = ["group", "score", "value", "baseline", "best_simple", "ceiling", "share", "rests_on"]
        rows = [
            (
                *(one.group, one.name, one.value, one.baseline, one.rival),
                *(one.ceiling, one.share, one.amount, one.meaning),
            )
            for one in lines(self.scores)
        ]
        table = pd.DataFrame(rows, columns=pd.Index([*columns, "meaning"]))
        numbers = ["value", "baseline", "best_simple", "ceiling", "share"]
        return table.astype(dict.fromkeys(numbers, float))

    def cells(self) -> AnnData:
        """The cells as they were prepared for the training.

        Returns
        -------
        anndata.AnnData
            (cells, measured genes); X: raw counts, CSR float32. obs: `perturbation` ('control', a gene, or
            genes joined by '+'), `split` ('train', 'validation', 'test' or 'unseen'), `artifact` (failed
            quality control), `library_size` (UMIs), and `batch`, `donor`, `guide`, `condition` where the
            file has them. Counts too large to be held stay on disk, and X is empty.

        Examples
        --------
        >>> gp.open_demo().cells().shape
        (7054, 585)
        """
        return self._cells.cells

    # The network --------------------------------------------------------------------------------------------

    def network(self, threshold: float | None = None) -> nx.DiGraph:
        """The edges above a threshold as a graph.

        Parameters
        ----------
        threshold : float, optional
            W above this is an edge, 0 to 1; that of the run's settings (0.5) when not given.

        Returns
        -------
        networkx.DiGraph
            Nodes: the genes that have an edge, with `perturbed` and `measured`. Edges from regulator to
            target, without self-loops, with `weight` (W, 0 to 1), `sign` (1 activates, -1 represses, 0
            unknown), `interaction` (the same in words) and what `edges` tells of them, where it is known.

        See Also
        --------
        edges : the same as a table.
        network_adata : all of W and the matrices beside it.

        Examples
        --------
        >>> graph = gp.open_demo().network()
        >>> graph["JAK2"]["STAT1"]["interaction"], graph.number_of_edges() > 50
        ('activates', True)
        """
        from gpovae_core.network.exports import graph_of

        return graph_of(self._network, self._threshold(threshold), self._references)

    def edges(self, threshold: float | None = None) -> pd.DataFrame:
        """The edges above a threshold as a table, the strongest first, as `gpovae network` writes them.

        Parameters
        ----------
        threshold : float, optional
            W above this is an edge, 0 to 1; that of the run's settings (0.5) when not given.

        Returns
        -------
        pandas.DataFrame
            A row for each edge: `source`, `target`, `weight` (W), `sign`, `effect` and `effect_se` (log2 fold
            change of mean shares in the training cells, when the source is perturbed), `p` and `p_adjusted`
            (held-out cells; NaN where these are too many to be tested at once), `cells` (perturbed training
            cells), and, where the run has them, `strength` (S) with its 95 % interval, `open_detours`, and
            `frequency` and its like, of the ensemble. Where the folder `networks` (or GPOVAE_NETWORKS_DIR)
            holds tables of known edges also `known_in`, `known_signs` and `publications`.

        Examples
        --------
        >>> edges = gp.open_demo().edges(0.8)
        >>> "JAK2" in edges.loc[edges["target"] == "STAT1", "source"].tolist()
        True
        """
        from gpovae_core.network.agreement import known_columns

        found = self._network.edges(self._threshold(threshold))
        return found.join(known_columns(found, self._references)) if self._references else found

    def network_adata(self) -> AnnData:
        """W and the matrices beside it, genes by genes.

        Returns
        -------
        anndata.AnnData
            (n, n), row = source, column = target. X: W, 0 to 1. layers: `sign`; `influence`, T_K over as
            many hops as the run shows; `effect` and `effect_se` (log2 fold change, NaN where not measured);
            `strength` and `strength_sd` (S) and the numbers of the ensemble where the run has them. obs:
            `perturbed`, `measured`, and `evidence` (cells with the gene perturbed have trained its row).

        Examples
        --------
        >>> network = gp.open_demo().network_adata()
        >>> network.shape, bool(network["JAK2", "STAT1"].X > 0.8)
        ((167, 167), True)
        """
        from gpovae_core.network.matrices import matrices_of

        return matrices_of(self._network, self.settings.loss.shown_hops)

    def paths(
        self,
        source: str | Sequence[str],
        target: str,
        hops: int = 5,
        top: int = 10,
        threshold: float = 0.0,
    ) -> pd.DataFrame:
        """The most probable paths from a gene to another, as `gpovae paths` finds them.

        Parameters
        ----------
        source : str or sequence of str
            Gene, or genes, of the panel that the paths start from; case does not matter.
        target : str
            Gene of the panel that they lead to.
        hops : int
            Most edges in a path, 1 to 15.
        top : int
            How many paths at most.
        threshold : float
            Only over edges with W above this, 0 to 1.

        Returns
        -------
        pandas.DataFrame
            A row for each path, the most probable first: `path` (genes joined by arrows), `source`, `hops`,
            `probability` (product of W), `share` (of T_K, all that reaches the target within the hops; where
            effects cancel, above 1 or below 0), `weakest` (least W on it) and `sign`.

        Examples
        --------
        >>> paths = gp.open_demo().paths("JAK2", "UBE2L6")
        >>> paths.loc[0, "path"]
        'JAK2 → STAT1 → UBE2L6'
        """
        from gpovae_core.network.paths import trace_paths

        return trace_paths(self._network, source, target, hops, top, threshold).table()

    def edge(self, source: str, target: str) -> EdgeInspection:
        """Why an edge is believed: what held-out cells show of it, whether a path explains it, who knows it.

        Parameters
        ----------
        source, target : str
            Genes of the panel; case does not matter. They need not be joined above any threshold.

        Returns
        -------
        EdgeInspection
            `weight` (W), `rank` among the `of` pairs like it, `sign`, `strength` (S), `influence` (T_K);
            `measured`: expression of the target, log(1 + counts per 10,000), in every held-out `control` and
            `perturbed` cell, with `fold` (log2 fold change), its interval, `wasserstein`, `p` and `adjusted`,
            or None with the reason in `why_not`; `detour`, the best path over other genes; `known`, an entry
            for each table of known edges in the folder `networks` (or GPOVAE_NETWORKS_DIR).

        Examples
        --------
        >>> edge = gp.open_demo().edge("JAK2", "STAT1")
        >>> edge.measured.control.shape, edge.measured.perturbed.shape
        ((176,), (74,))
        >>> edge.measured.fold < 0  # STAT1 falls where JAK2 is knocked out
        True
        """
        from gpovae_core.network.inspection import inspect_edge

        hops, known = self.settings.loss.shown_hops, self._references
        return inspect_edge(self._network, source, target, self._held_out, self._tests, known, hops)

    def parts(self, source: str, target: str) -> pd.DataFrame:
        """The effect behind an edge in the cells of every guide, batch and donor alone.

        Parameters
        ----------
        source, target : str
            Genes of the panel; case does not matter.

        Returns
        -------
        pandas.DataFrame
            A row for each guide, batch and donor with enough cells: `kind`, `part` (its name), `cells`,
            `effect` (log2 fold change of mean shares against the controls of its own batch and donor), `low`
            and `high` (95 % interval) and `p` (Cochran's Q over the parts of that kind: small where they
            disagree). Empty where none is known.

        Examples
        --------
        >>> parts = gp.open_demo().parts("JAK2", "STAT1")
        >>> parts.groupby("kind")["cells"].sum().to_dict()
        {'batch': 350, 'guide': 350}
        """
        import pandas as pd

        from gpovae_core.network.parts import PartedCells

        panel = self._folder.panel()
        source, target = (panel.genes[panel.position(gene)] for gene in (source, target))
        cells = PartedCells.of(self._cells)
        rows = [
            (one.kind, part.name, part.cells, part.fold, part.low, part.high, one.p)
            for one in (() if cells is None else cells.of_edge(source, target))
            for part in one.parts
        ]
        columns = ["kind", "part", "cells", "effect", "low", "high", "p"]
        return pd.DataFrame(rows, columns=pd.Index(columns)).astype({"p": float})

    # Effects ------------------------------------------------------------------------------------------------

    def effects(self) -> AnnData:
        """Observed and predicted effects of every perturbation of the screen.

        Returns
        -------
        anndata.AnnData
            (perturbations, measured genes). layers, each the mean of log2(counts per 10,000 + 1) minus that
            of controls: `predicted` by the model, `observed_train`, `observed_test` (held-out cells) and
            `observed_all`, each with its standard error as `..._se`. obs: cells behind each row, and what
            the prediction `rests_on`.

        Examples
        --------
        >>> effects = gp.open_demo().effects()
        >>> round(float(effects.to_df("observed_all").loc["STAT1", "UBE2L6"]), 1)
        -3.5
        """
        return self._folder.effects()

    def predict(
        self, perturbations: str | Sequence[str], loss: Mapping[str, float] | None = None
    ) -> pd.DataFrame:
        """Expected effects of perturbations, of combinations, and of other strengths, as `gpovae predict`
        and the page What if answer.

        Parameters
        ----------
        perturbations : str or sequence of str
            Genes of the panel; combinations joined by '+', as in 'IFNGR1+JAK2'. A gene without training
            cells is answered by the network alone.
        loss : mapping of str to float, optional
            Gene -> share of its mRNA that is lost, where not as in the screen. Of a gene that is activated in
            some cells and knocked down in others, 'STAT1 (activated)' -> 1 - the fold to which it rises.

        Returns
        -------
        pandas.DataFrame
            A row for each perturbation and measured gene, the largest effect first: `perturbation`, `gene`,
            `effect` (log2 fold change of mean shares against control), `sd`, `low` and `high` (the
            model's spread), `additive` (sum of the effects of the genes alone; with combinations),
            `log_difference` (the scale on which predictions are scored) and `rests_on`.

        Examples
        --------
        >>> found = gp.open_demo().predict(["STAT1", "IFNGR1+JAK2"])
        >>> found.groupby("perturbation")["rests_on"].first().to_dict()
        {'IFNGR1+JAK2': 'combination of seen genes', 'STAT1': 'seen'}
        """
        from gpovae_core.questions.whatif import effects_of

        names = (perturbations,) if isinstance(perturbations, str) else tuple(perturbations)
        if not names:
            raise QueryError(
                "No perturbation was asked for: give a gene of the panel, or genes joined by '+'."
            )
        answers = self._respondent.ask_all(names, loss)
        basis = {one.question.perturbation: one.basis for one in answers}
        table = effects_of(answers)
        return table.assign(rests_on=[basis[name] for name in table["perturbation"]])

    # Work ---------------------------------------------------------------------------------------------------

    def resume(self, progress: Progress | None = None, **settings: object) -> Run:
        """Go on with a training that was stopped, after its last finished epoch, and score it.

        Parameters
        ----------
        progress : callable, optional
            Called with what is being done (str) and the share done (float, 0 to 1).
        **settings
            Settings of the training that may differ: `epochs`, `patience`, `min_improvement`, `device`,
            `devices`, `nodes` and `strategy`.

        Returns
        -------
        Run
            The run, opened anew.

        Raises
        ------
        GpoVaeError
            For a run without cells, other settings, and a run that another process works on.

        Examples
        --------
        >>> run = gp.open_run("runs/toy")
        >>> run.resume(epochs=3).state
        'done'
        """
        from gpovae_core.workflow import resume_run

        followed(resume_run(self.path, settings, progress), progress)
        return Run(self.path)

    # Kept ---------------------------------------------------------------------------------------------------

    def _threshold(self, threshold: float | None) -> float:
        return self.settings.evaluation.threshold if threshold is None else threshold

    @cached_property
    def _cells(self) -> PreparedCells:
        return self._folder.cells()

    @cached_property
    def _network(self) -> GeneNetwork:
        from gpovae_core.network.grn import GeneNetwork

        network = GeneNetwork.from_run(self._folder)
        return network if self._tests is None else network.with_tests(self._tests)

    @cached_property
    def _tests(self) -> PairStatistics | None:
        """None without cells, and where they are too many to test every pair."""
        from gpovae_core.network.measured import tests_at_once

        return tests_at_once(self._cells) if self._folder.has("cells.h5ad") else None

    @cached_property
    def _references(self) -> list[ReferenceNetwork]:
        """Tables of known edges in the folder of them; made-up genes are in none."""
        from gpovae_core.network.references import networks_folder, read_references

        found, faults = ([], []) if self._network.simulated else read_references(networks_folder())
        for fault in faults:
            warnings.warn(fault, stacklevel=3)
        return found

    @cached_property
    def _held_out(self) -> HeldOutCells | None:
        from gpovae_core.network.inspection import HeldOutCells

        return HeldOutCells.of(self._cells) if self._folder.has("cells.h5ad") else None

    @cached_property
    def _respondent(self) -> Respondent:
        from gpovae_core.evaluation.stored import read_evaluation
        from gpovae_core.questions.whatif import Respondent

        scores = read_evaluation(self._folder)
        widening = 1.0 if scores is None else scores.widening
        return Respondent.of(self._folder, self._cells, widening=widening)


def followed(folder: RunFolder, progress: Progress | None) -> None:
    """What follows a training: how often its edges come back, where the settings want that. That it fails
    takes nothing from the run.
    """
    from gpovae_core.runs.ensemble import follow_training

    try:
        follow_training(folder, progress)
    except GpoVaeError as error:
        warnings.warn(f"How often edges come back is not known: {error}", stacklevel=3)


def open_run(path: str | Path) -> Run:
    """Open a run.

    Parameters
    ----------
    path : str or Path
        Folder of the run, as made by `train`, `gpovae train --run` or the dashboard.

    Returns
    -------
    Run

    Raises
    ------
    GpoVaeError
        Where there is no run, or a newer version of gpovae wrote it.

    Examples
    --------
    >>> gp.open_run("runs/nowhere")
    Traceback (most recent call last):
        ...
    gpovae_core.errors.RunError: 'runs/nowhere' is not a run: it has no config.json. ...
    """
    return Run(path)


def open_demo(name: str = REAL_DEMO) -> Run:
    """Open a run that comes with the program, to try things out.

    Parameters
    ----------
    name : {'papalexi2021-demo', 'demo'}
        The first holds real cells (ECCITE-seq of stimulated THP-1 cells, Papalexi et al. 2021), the second
        simulated ones with their true network.

    Returns
    -------
    Run

    Examples
    --------
    >>> gp.open_demo("demo")
    Run 'demo': done, 65 genes, 24 of them perturbed
    """
    if name not in DEMOS:
        raise RunError(f"There is no demo '{name}': choose one of {', '.join(DEMOS)}.")
    return Run(DEMOS[name])


def find_runs(folder: str | Path | None = None) -> dict[str, Run]:
    """The runs in a folder.

    Parameters
    ----------
    folder : str or Path, optional
        Where to look; GPOVAE_RUNS_DIR, or the folder `runs`, when not given.

    Returns
    -------
    dict of str to Run
        Name -> run, the newest first. Folders that are no runs, or of a newer version, are passed over.

    Examples
    --------
    >>> gp.find_runs("nowhere")
    {}
    """
    found = {}
    for run in _find_runs(runs_folder() if folder is None else Path(folder)):
        try:
            found[run.name] = Run(run.path)
        except RunError:
            continue
    return found
