"""MuData in an HDF5 file, as muon and pertpy write it: its modality of genes, with the guides of another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpovae_core import keys
from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_GENES = re.compile(
    r"^(sc|sn)?(rna|mrna|gex|geneexpression|expression|genes?|transcriptome|cdna)(seq|counts)?$"
)
_GUIDES = re.compile(r"guide|[sg]grna|^grna|gdo|crispr|protospacer|^perturbations?$")


def recognises(path: Path) -> bool:
    from gpovae_core.data import hdf5

    inside = hdf5.looks(path)
    return inside is not None and bool(inside.get("mod")) and inside[""].get("encoding-type") != "anndata"


def read(path: Path) -> AnnData | BackedCells:
    from gpovae_core.data import hdf5
    from gpovae_core.data.backed import must_stay_on_disk
    from gpovae_core.data.parts import read_root

    root = hdf5.opened(path, "a .h5mu file")
    if "mod" not in root or not len(root["mod"]):
        found = ", ".join(sorted(root)[:6]) or "nothing"
        refuse("not-mudata", f"'{path.name}' holds no modalities (mod); found {found}.", MAKE_ONE)
    names = sorted(root["mod"])
    chosen = _genes_among(path, names)
    hdf5.must_fit(path, lambda: must_stay_on_disk(root["mod"][chosen]))
    try:
        cells = read_root(root["mod"][chosen])
        _join_tables(cells, root, names, chosen)
        guides = next((name for name in names if name != chosen and _GUIDES.search(_folded(name))), None)
        if guides is not None:
            _add_guides(cells, root["mod"][guides])
    except Exception as error:
        refuse(
            "not-mudata", f"'{path.name}' cannot be read as MuData ({first_line(error)}).", MAKE_ONE, error
        )
    _say(cells, chosen, names, guides)
    return cells


def _genes_among(path: Path, names: list[str]) -> str:
    able = [name for name in names if _GENES.match(_folded(name))]
    if len(able) == 1 or len(names) == 1:
        return (able or names)[0]
    listed = ", ".join(names)
    refuse(
        "no-rna-modality",
        f"'{path.name}' holds the modalities {listed}; which of them holds the genes is not clear.",
        "Call it 'rna', or write it alone: `mdata['rna'].write_h5ad('cells.h5ad')`.",
    )


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _join_tables(cells: AnnData | BackedCells, root: Any, names: list[str], chosen: str) -> None:
    """Columns of the whole MuData and of the other modalities that the genes' own obs lacks."""
    from gpovae_core.data.parts import Parts

    obs: Any = cells.obs
    tables = [Parts(root).table("obs")] if "obs" in root else []
    tables += [Parts(root["mod"][name]).table("obs") for name in names if name != chosen]
    for table in tables:
        if not table.index.is_unique:
            continue
        here = table.reindex(obs.index)
        for column in here.columns:
            plain = str(column).removeprefix(f"{chosen}:")
            if plain not in obs.columns and not _repeats(plain, names, obs):
                obs[plain] = here[column].to_numpy() if here[column].dtype != "category" else here[column]


def _repeats(column: str, names: list[str], obs: pd.DataFrame) -> bool:
    """'gdo:total_counts': a column of a modality that is joined under its own name."""
    before, colon, after = column.partition(":")
    return bool(colon) and before in names and bool(after)


def _add_guides(cells: AnnData | BackedCells, group: Any) -> None:
    """The guide modality as `obsm[keys.GUIDE_UMIS]`; cells that it lacks have none."""
    import pandas as pd

    from gpovae_core.data.parts import Parts

    parts = Parts(group)
    obs, var = parts.table("obs"), parts.table("var")
    values = _counts_of(parts)
    if values is None:
        return
    dense = values.toarray() if hasattr(values, "toarray") else values
    table = pd.DataFrame(dense, index=obs.index.astype(str), columns=var.index.astype(str))
    table = table.reindex(cells.obs_names.astype(str), fill_value=0.0).set_axis(cells.obs_names)
    obsm: Any = cells.obsm
    obsm[keys.GUIDE_UMIS] = table


def _counts_of(parts: Any) -> Any:
    """X of the guides, or their layer of counts where X was normalised."""
    from gpovae_core.data.like_counts import fault

    x = parts.item("X")
    if x is not None and (problem := fault(x, "X")) is not None and problem.code != "counts-binary":
        layers = parts.mapping("layers")
        return next((layer for layer in layers.values() if fault(layer, "") is None), x)
    return x


def _say(cells: AnnData | BackedCells, chosen: str, names: list[str], guides: str | None) -> None:
    from gpovae_core.data.parts import add_note

    others = [name for name in names if name not in (chosen, guides)]
    text = f"Genes are read from the modality '{chosen}'"
    text += f", guides from '{guides}'" if guides else ""
    text += f"; not used: {', '.join(others)}" if others else ""
    add_note(cells, f"{text}.")


READER = Reader("h5mu", "a .h5mu file", (".h5mu",), 10, recognises, read)
