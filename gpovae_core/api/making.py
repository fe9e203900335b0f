"""From cells, or from effects, to a run: what `gpovae validate`, `train` and their like do, in Python."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gpovae_core.api.run import Run, followed
from gpovae_core.config import DataSettings, by_section, checked, idle_given, make_settings
from gpovae_core.errors import DataError, Problem, SettingsError
from gpovae_core.runs.folder import check_new

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells
    from gpovae_core.data.progress import Progress
    from gpovae_core.data.simulate import Simulation
    from gpovae_core.data.validate import Examination


def read(path: str | Path) -> AnnData | BackedCells:
    """Read cells of any form that gpovae knows.

    Parameters
    ----------
    path : str or Path
        `.h5ad`, `.zarr`, `.h5mu`, or the `.h5` or folder of 10x; packed ones too.

    Returns
    -------
    anndata.AnnData or BackedCells
        (cells, genes) as the file has them; nothing is chosen or left out yet. BackedCells, with the same
        `obs` and `var`, where the counts are too large to be held in memory.

    Raises
    ------
    GpoVaeError
        That says what the path is instead.

    Examples
    --------
    >>> path = gp.simulate(genes=20, perturbations=6, cells=700).write("toy.h5ad")
    >>> gp.read("toy.h5ad").shape
    (700, 25)
    """
    from gpovae_core.data.read import read_cells

    return read_cells(path)


def validate(cells: AnnData | str | Path, **settings: object) -> Examination:
    """Say what is wrong with cells, all at once, and what training would use of them, as `gpovae validate`.

    Parameters
    ----------
    cells : AnnData, str or Path
        (cells, genes) with raw counts, or values from which these come back; or a file of them.
    **settings
        Settings of the section `data` by name: `label_column`, `control_label`, `batch`, ...

    Returns
    -------
    Examination
        `ok`; `problems`, each with `severity`, `message` and `hint`; `decisions`: what was chosen on the
        way; `summary`: numbers of cells, genes and perturbations, plain values.

    Raises
    ------
    GpoVaeError
        For settings that cannot be. What is wrong with the cells is an answer, not an error.

    Examples
    --------
    >>> sim = gp.simulate(genes=20, perturbations=6, cells=700)
    >>> found = gp.validate(sim.adata)
    >>> found.ok, found.summary["label_column"], found.summary["control_label"]
    (True, 'perturbation', 'non-targeting')
    >>> print(gp.validate(sim.adata, control_label="nobody").problems[0].message)
    control_label is 'nobody', but no cell has this label in 'perturbation'. ...
    """
    from gpovae_core.data.validate import examine, examine_file

    given = by_section(settings)
    _only_data(given)
    asked = checked(DataSettings, _whole_paths(given.get("data", {})), "These settings cannot be used")
    if isinstance(cells, str | Path):
        return examine_file(Path(cells), asked)
    return examine(_copied(cells), asked)


def simulate(**settings: Any) -> Simulation:
    """Draw cells from a stated process with a known network, to try things on.

    Parameters
    ----------
    **settings
        As in `gpovae simulate`: `genes`, `perturbations`, `cells`, `network`, `direction`, `batches`, `seed`
        and others; see gpovae_core.data.simulate.SimulationSettings. The same settings give the same cells.

    Returns
    -------
    Simulation
        `adata`, (cells, genes) with raw counts; `edges`, the true direct edges: `source`, `target`, `weight`
        (signed strength: change of the log of the target per change of the log of the source), `sign`;
        `write(path)` writes both.

    Raises
    ------
    GpoVaeError
        That names every setting that cannot be.

    Examples
    --------
    >>> sim = gp.simulate(genes=20, perturbations=6, cells=700, seed=1)
    >>> sim.adata.shape, list(sim.edges.columns)
    ((700, 25), ['source', 'target', 'weight', 'sign'])
    """
    from gpovae_core.data.simulate import SimulationSettings
    from gpovae_core.data.simulate import simulate as draw

    return draw(SimulationSettings(**settings))


def train(
    cells: AnnData | str | Path,
    run: str | Path,
    preset: str | None = None,
    published: str | None = None,
    progress: Progress | None = None,
    **settings: object,
) -> Run:
    """Prepare cells, train to the early stop, score on held-out cells, and say how often each edge comes
    back: what `gpovae train` does.

    Interrupting the kernel stops it after the step at hand; `Run.resume` goes on.

    Parameters
    ----------
    cells : AnnData, str or Path
        (cells, genes) with raw counts, a column of obs that names the perturbed gene of every cell, and
        control cells; or a file of them.
    run : str or Path
        Folder of the new run. One in the folder `runs` shows up in the dashboard.
    preset : {'evidence', 'paper', 'released', ...}, optional
        Starting point of all settings; 'evidence' when not given.
    published : {'K562', 'RPE1', 'Adamson'}, optional
        The settings released for that data set, with the preset 'released'.
    progress : callable, optional
        Called with what is being done (str) and the share done (float, 0 to 1).
    **settings
        Any setting by its name: `epochs`, `label_column`, `hops`, ...; `seed` is that of the split and of the
        training. A name that occurs in several sections takes its section: `**{"inference.seed": 1}`.

    Returns
    -------
    Run

    Raises
    ------
    GpoVaeError
        For cells that cannot be used (with everything that is wrong with them; no run is left behind),
        settings that cannot be, and a folder that is not empty.

    Warns
    -----
    UserWarning
        What was left out or assumed of the cells, and settings that have no effect.

    Examples
    --------
    >>> sim = gp.simulate(genes=20, perturbations=6, cells=700)
    >>> run = gp.train(sim.adata, "runs/toy", epochs=2)
    >>> run
    Run 'toy': done, 25 genes, 6 of them perturbed
    """
    from gpovae_core.workflow import start_run

    path = Path(run)
    given = by_section(settings)
    given["data"] = _whole_paths(given.get("data", {}))
    chosen = make_settings(preset, given, published)
    for note in idle_given(chosen, given):
        warnings.warn(note, stacklevel=2)
    check_new(path)
    with tempfile.TemporaryDirectory() as scratch:
        file = _as_file(cells, Path(scratch) / f"{path.name}.h5ad")
        folder = start_run(file, path, chosen, progress, warn=lambda text: warnings.warn(text, stacklevel=2))
    if not isinstance(cells, str | Path):  # what was in memory lies nowhere else
        folder.write_source(folder.source().model_copy(update={"path": file.name}))
    followed(folder, progress)
    return Run(path)


def network_from_effects(
    file: str | Path,
    run: str | Path,
    panel_extra: int = 1000,
    null: str = "auto",
    unit: str | None = None,
    perturbation_column: str | None = None,
    gene_column: str | None = None,
    effect_column: str | None = None,
    error_column: str | None = None,
    progress: Progress | None = None,
    **settings: object,
) -> Run:
    """A network from a table of effects instead of cells, as `gpovae network-from-effects` makes it.

    Parameters
    ----------
    file : str or Path
        Log fold changes with standard errors, perturbation by gene: an `.h5ad` with layers, a long table
        (CSV, TSV, parquet), or a folder with a table for each perturbation.
    run : str or Path
        Folder of the new run.
    panel_extra : int
        Genes beside the perturbed ones: those of largest effect over its error.
    null : {'auto', 'controls', 'normal', 'none'}
        What is seen without an effect, for the share of false edges: rows that name a control, noise of
        exactly the stated errors, or nothing; 'auto': controls where there are any.
    unit : {'log2', 'ln'}, optional
        Of the effects; told by the name of their column when not given.
    perturbation_column, gene_column, effect_column, error_column : str, optional
        Columns or layers of the perturbed gene, the measured gene, the log fold change and its standard
        error; found when not given.
    progress : callable, optional
        Called with what is being done (str) and the share done (float, 0 to 1).
    **settings
        Any setting of the section `network`: `perturbation`, `least_effect`, ...

    Returns
    -------
    Run
        With a network, and without cells: what needs them says so.

    Raises
    ------
    GpoVaeError
        For a table that cannot be used, with what is wrong with it.

    Examples
    --------
    >>> demo = gp.open_demo("demo").effects()
    >>> table = demo.to_df("observed_all").stack().rename("log2FC").to_frame()
    >>> table["se"] = demo.to_df("observed_all_se").stack()
    >>> table.rename_axis(["perturbation", "gene"]).reset_index().to_csv("effects.csv", index=False)
    >>> run = gp.network_from_effects("effects.csv", "runs/effects")
    >>> run.state, len(run.edges()) > 10
    ('imported', True)
    """
    from gpovae_core.data.effect_tables.known import EffectColumns, Unit
    from gpovae_core.runs.from_effects import Null
    from gpovae_core.runs.from_effects import network_from_effects as made_from

    columns = EffectColumns(
        perturbation_column, gene_column, effect_column, error_column, cast("Unit | None", unit)
    )
    chosen = make_settings("evidence", by_section(settings))
    made = made_from(Path(file), Path(run), panel_extra, columns, cast("Null", null), chosen, progress)
    return Run(made.run.path)


def _only_data(given: dict[str, dict[str, object]]) -> None:
    """Raises SettingsError for settings that have no part in reading cells."""
    others = [name for section, fields in given.items() if section != "data" for name in fields]
    if others := [name for name in others if name != "seed"]:
        raise SettingsError(
            f"Only settings of the section data have a part in this: leave out {', '.join(others)}."
        )


def _whole_paths(data: dict[str, object]) -> dict[str, object]:
    """Files of guides by their whole path: a run may be continued from another folder."""
    return {
        name: str(Path(str(value)).resolve()) if name in ("guides", "guide_targets") and value else value
        for name, value in data.items()
    }


def _copied(cells: Any) -> AnnData:
    """AnnData in memory, that may be changed. Raises DataError for anything else."""
    from anndata import AnnData

    if not isinstance(cells, AnnData):
        problem = Problem(
            "not-cells", f"Cells are an AnnData or the path of a file; got {type(cells).__name__}."
        )
        raise DataError([problem])
    return cells.to_memory() if cells.isbacked else cells.copy()


def _as_file(cells: Any, path: Path) -> Path:
    """The file of these cells; those in memory are written to `path`. Raises DataError where that fails."""
    from gpovae_core.data.write import write_cells

    if isinstance(cells, str | Path):
        return Path(cells)
    try:
        write_cells(_copied(cells), path)
    except (TypeError, ValueError, NotImplementedError, KeyError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        hint = "Take out of obs, var and uns what an .h5ad file cannot hold: columns of mixed kinds, objects."
        problem = Problem("not-writable", f"The AnnData cannot be written: {reason}.", hint)
        raise DataError([problem]) from error
    return path
