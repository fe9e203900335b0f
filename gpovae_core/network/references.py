"""Networks that somebody else found: read from tables as they are distributed, and asked whether they know an
edge.

Understood are TRRUST, CollecTRI and DoRothEA (also as decoupler writes them), OmniPath, RegNetwork and what
else names a source and a target (or tf and target); and, without a direction, BioGRID (tab2, tab3), STRING
(links with a file of names, and the export of its pages), CORUM (its own table, or pairs) and what else names
gene1 and gene2. Any usual separator, gzip, and lines of remarks above. Signs stay as they stand, in words or
numbers. Gene symbols are compared without regard to upper and lower case. Nothing but text is read from a
file.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import NoReturn

from gpovae_core.data.text_tables import NotATable, TextTable, open_table, plain_name, stem_of
from gpovae_core.errors import QueryError
from gpovae_core.network.reference_forms import (
    Form,
    as_number,
    form_of,
    genes_of,
    is_bare_trrust,
    meaning_of_weights,
    note_of,
    publications_of,
    yes,
)

SUFFIXES = tuple(f"{ending}{packed}" for ending in (".csv", ".tsv", ".tab", ".txt") for packed in ("", ".gz"))
EXPECTED = (
    "Expected a table with the columns source and target (or tf and target), or gene1 and gene2 for pairs "
    "without a direction; or one of TRRUST, CollecTRI, DoRothEA, OmniPath, BioGRID, STRING or CORUM as it is "
    "distributed."
)
MOST_BYTES = 2_000_000_000
"""Of text, which is read line by line: all links of STRING for man have 600 MB."""
MOST_PAIRS = 5_000_000
"""More than any curated network lists, and as much as is held in memory."""
STRING_CONFIDENCE = 400
"""Links of STRING with a smaller combined score (of 1,000) are left out, as its own pages do: its files list
every pair down to 150, which is nearly every pair of well-studied genes.
"""

_ACTIVATING = ("activat", "upregul", "up-regul", "positive", "stimul")
_REPRESSING = ("repress", "downregul", "down-regul", "negative", "inhibit")
_PROTEIN = re.compile(r"\d+\.[\w.-]+")
_PROTEIN_ID = ("string_protein_id", "protein_external_id")


@dataclass(frozen=True)
class ReferenceNetwork:
    """name: as shown; directed: whether an edge runs one way; known: folded pair -> what the table notes on
    it (signs, complexes); remarks: in words, what was left out in reading it; publications: folded pair ->
    what it was read from ('PMID 22909821'), of pairs for which the table says so.
    """

    name: str
    directed: bool
    known: dict[tuple[str, str], tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    publications: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def genes(self) -> frozenset[str]:
        """Folded symbols of every gene of the table."""
        return frozenset(gene for pair in self.known for gene in pair)

    def without_overlap(self, genes: Collection[str]) -> str:
        """In words that no edge of the table lies between two of `genes`; "" where one does."""
        own = {gene.casefold() for gene in genes}
        if any(a in own and b in own for a, b in self.known):
            return ""
        shared = len(self.genes & own)
        if shared:
            return (
                f"{self.name} knows {shared:,} of the {len(own):,} genes of the panel and no edge between "
                "two of them: it says nothing of this network."
            )
        theirs, ours = ", ".join(sorted(self.genes)[:3]), ", ".join(sorted(genes)[:3])
        return (
            f"{self.name} shares no gene with the panel, so it says nothing of this network: it names genes "
            f"like {theirs}, the panel names them like {ours}. Are both symbols, and of the same species?"
        )

    def knows(self, source: str, target: str) -> Known:
        """What the table says on source -> target."""
        pair = _folded(source, target, self.directed)
        notes = self.known.get(pair)
        reverse = self.directed and _folded(target, source, True) in self.known
        return Known(
            self.name,
            notes is not None,
            reverse,
            tuple(n for n in notes or () if n),
            self._listed[source.casefold()],
            self.publications.get(pair, ()),
        )

    @cached_property
    def _listed(self) -> Counter[str]:
        """Folded symbol -> edges that start there, or touch it where there is no direction."""
        sources = Counter(source for source, _ in self.known)
        return sources if self.directed else sources + Counter(b for a, b in self.known if a != b)


@dataclass(frozen=True)
class Known:
    """Whether a reference network has an edge: `found`, or only the other way round (`reverse`); notes: signs
    or complexes it gives.

    listed: edges of the source in the table; 0 means that its absence says nothing at all; publications: what
    the table read the edge from, where it says so.
    """

    reference: str
    found: bool
    reverse: bool
    notes: tuple[str, ...]
    listed: int = 0
    publications: tuple[str, ...] = ()

    @property
    def sign(self) -> int:
        """+1 where every note says activation, -1 repression, 0 where they differ or say neither."""
        signs = {sign_of(note) for note in self.notes}
        return signs.pop() if len(signs) == 1 else 0


def sign_of(note: str) -> int:
    """The direction of an effect in the words or numbers that tables use for it; 0 where it says none."""
    words = note.strip().casefold().replace("-", "")
    if note.strip() in ("1", "+1", "+", "1.0"):
        return 1
    if note.strip() in ("-1", "-", "-1.0"):
        return -1
    up, down = (any(part in words for part in parts) for parts in (_ACTIVATING, _REPRESSING))
    return int(up) - int(down)


def networks_folder() -> Path:
    """Folder with reference networks: the environment variable GPOVAE_NETWORKS_DIR, or `networks` in the
    working directory.
    """
    return Path(os.environ.get("GPOVAE_NETWORKS_DIR") or "networks")


def read_references(folder: Path) -> tuple[list[ReferenceNetwork], list[str]]:
    """Every table of a folder, by name, and in words what could not be read; nothing where there is no such
    folder.
    """
    files = (
        sorted(path for path in Path(folder).iterdir() if path.name.casefold().endswith(SUFFIXES))
        if Path(folder).is_dir()
        else []
    )
    networks, faults = [], []
    names, tables = _split(files, faults)
    for path in tables:
        try:
            networks.append(read_reference(path, path.name, names))
        except (OSError, QueryError) as error:
            faults.append(_in_words(path, error))
    return networks, faults


def read_reference_files(files: Sequence[Path]) -> list[ReferenceNetwork]:
    """The networks of these files, among which may be a file with the names of STRING's proteins; else one
    that lies beside a file of links. Raises QueryError for the first that cannot be read.
    """
    faults: list[str] = []
    names, tables = _split([Path(file) for file in files], faults)
    if faults:
        raise QueryError(faults[0])
    found = []
    for path in tables:
        beside = [one for one in path.parent.glob("*.protein.*") if one.is_file()] if not names else []
        try:
            found.append(read_reference(path, path.name, names or _split(beside, [])[0]))
        except OSError as error:
            raise QueryError(_in_words(path, error)) from error
    return found


def read_protein_names(content: bytes | Path, file_name: str) -> dict[str, str] | None:
    """STRING's protein -> gene symbol, from its protein.info or protein.aliases; None for any other file."""
    try:
        table = open_table(content, MOST_BYTES, _names_proteins)
        header = [plain_name(name) for name in table.header]
        if not _names_proteins(table.header):
            return None
        named = header.index("preferred_name") if "preferred_name" in header else header.index("alias")
        kind = header.index("source") if "source" in header and "alias" in header else None
        best: dict[str, tuple[int, str]] = {}
        for _, row in table.rows:
            if len(row) <= named:
                continue
            rank = 0 if kind is None or len(row) <= kind else _rank_of_alias(row[kind])
            if row[0] not in best or rank < best[row[0]][0]:
                best[row[0]] = rank, row[named].strip()
    except NotATable as error:
        raise QueryError(f"'{file_name}' {error}. {EXPECTED}") from error
    return {protein: name for protein, (_, name) in best.items()}


def _names_proteins(header: Sequence[str]) -> bool:
    names = [plain_name(name) for name in header]
    return bool(names) and names[0] in _PROTEIN_ID and bool({"preferred_name", "alias"} & set(names))


def _rank_of_alias(source: str) -> int:
    """Which of several names of a protein is its gene's symbol, the least first."""
    words = source.casefold()
    of_symbols = ("hgnc_symbol", "hugo", "hgnc", "gene_name", "uniprot_gn_name", "uniprot_gn")
    return next((i for i, part in enumerate(of_symbols) if part in words and "id" not in words.split("_")), 9)


def _split(files: Sequence[Path], faults: list[str]) -> tuple[dict[str, str], list[Path]]:
    """(names of STRING's proteins, the other files); what cannot be looked into stays among those."""
    names: dict[str, str] = {}
    tables = []
    for path in files:
        try:
            found = read_protein_names(path, path.name) if "protein" in path.name.casefold() else None
        except (OSError, QueryError) as error:
            faults.append(_in_words(path, error))
            continue
        if found is None:
            tables.append(path)
        else:
            names |= found
    return names, tables


def _in_words(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"'{path.name}' cannot be read: {error.strerror or error}."
    return str(error)


def read_reference(
    content: bytes | Path, file_name: str, proteins: Mapping[str, str] | None = None
) -> ReferenceNetwork:
    """The network in the bytes of a file, or in a file. proteins: names of STRING's proteins, where its links
    are to be read (`read_protein_names`). Raises QueryError that says what is wrong with it.
    """
    try:
        table = open_table(content, MOST_BYTES, _is_known)
        header = tuple(plain_name(name) for name in table.header)
        form = form_of(table.header)
        if form is None and is_bare_trrust(table.header):
            form = Form(True, 0, 1, sign=2, publications=3)
            table = replace(table, rows=_with_first(table))
        if form is None:
            listed = ", ".join(table.header)[:200] or "none"
            if _names_proteins(table.header):
                raise QueryError(
                    f"'{file_name}' names the proteins of STRING and lists no edges: give it together with "
                    "the file of links."
                )
            raise QueryError(f"'{file_name}' has the columns {listed}. {EXPECTED}")
        remarks = _Remarks()
        edges = _edges(table, form, proteins, remarks, file_name)
        known, publications = _collect(edges, form, header, file_name)
    except NotATable as error:
        if str(error) == "is empty":
            raise QueryError(f"'{file_name}' has the columns none: it is empty. {EXPECTED}") from error
        raise QueryError(f"'{file_name}' {error}. {EXPECTED}") from error
    if not known:
        why = f" ({' '.join(remarks.words())})" if remarks.words() else ""
        raise QueryError(f"'{file_name}' lists no edges{why}. {EXPECTED}")
    return ReferenceNetwork(_shown_name(file_name), form.directed, known, remarks.words(), publications)


def _is_known(names: Sequence[str]) -> bool:
    return form_of(names) is not None or _names_proteins(names)


def _with_first(table: TextTable) -> Iterator[tuple[int, list[str]]]:
    yield 1, list(table.header)
    yield from table.rows


@dataclass
class _Remarks:
    """What is left out in reading, counted."""

    weak: int = 0
    undirected: int = 0
    unnamed: set[str] = field(default_factory=set)

    def words(self) -> tuple[str, ...]:
        found = []
        if self.weak:
            found.append(f"{self.weak:,} links with a combined score below {STRING_CONFIDENCE} are left out.")
        if self.undirected:
            found.append(f"{self.undirected:,} interactions without a direction are left out.")
        if self.unnamed:
            found.append(
                f"{len(self.unnamed):,} proteins have no name in the file of names (e.g. "
                f"{', '.join(sorted(self.unnamed)[:2])}); their links are left out."
            )
        return tuple(found)


def _edges(
    table: TextTable, form: Form, proteins: Mapping[str, str] | None, remarks: _Remarks, file_name: str
) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    """(source, target, note, publications) of every edge in the order of the file; lines too short to name
    two genes are passed over.
    """
    needed = max(form.first, form.second)
    for _, row in table.rows:
        if len(row) <= needed:
            continue
        note, read_from = note_of(row, form), publications_of(row, form)
        if form.members is not None:
            genes = dict.fromkeys(gene.strip() for gene in re.split("[;,]", row[form.members]))
            yield from ((a, b, note, read_from) for a, b in combinations(genes, 2))
            continue
        a, b = row[form.first].strip(), row[form.second].strip()
        if b == "GeneSym":
            continue
        if form.one_way is not None and len(row) > form.one_way and not yes(row[form.one_way]):
            remarks.undirected += 1
            continue
        if (
            form.score is not None
            and len(row) > form.score
            and as_number(row[form.score]) < STRING_CONFIDENCE
        ):
            remarks.weak += 1
            continue
        if form.score is not None and _PROTEIN.fullmatch(a) and _PROTEIN.fullmatch(b):
            if not proteins:
                _no_names(file_name, a)
            remarks.unnamed |= {one for one in (a, b) if one not in proteins}
            a, b = proteins.get(a, ""), proteins.get(b, "")
        for one in genes_of(a, row):
            for other in genes_of(b, row):
                yield one, other, note, read_from


def _no_names(file_name: str, protein: str) -> NoReturn:
    species = protein.partition(".")[0]
    raise QueryError(
        f"'{file_name}' names proteins of STRING ({protein}) and not genes. Give the file with their names "
        f"too, or put it beside it: {species}.protein.info or {species}.protein.aliases of the same version."
    )


def _collect(
    edges: Iterable[tuple[str, str, str, tuple[str, ...]]], form: Form, header: Sequence[str], file_name: str
) -> tuple[dict[tuple[str, str], tuple[str, ...]], dict[tuple[str, str], tuple[str, ...]]]:
    """Folded pairs with the different notes on each, in the order of the file, and with the publications."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    publications: dict[tuple[str, str], tuple[str, ...]] = {}
    for source, target, note, read_from in edges:
        key = _folded(source, target, form.directed)
        if not all(key):
            continue
        found.setdefault(key, {})[note] = None
        if read_from:
            publications[key] = tuple(dict.fromkeys((*publications.get(key, ()), *read_from)))
        if len(found) > MOST_PAIRS:
            raise QueryError(
                f"'{file_name}' lists more than {MOST_PAIRS:,} pairs: leave out what is not needed, for "
                "instance all but the most certain ones."
            )
    if form.sign is None and form.up is None and form.weighed is not None:
        meant = meaning_of_weights({note for notes in found.values() for note in notes}, set(header))
        return {pair: tuple(dict.fromkeys(map(meant, notes))) for pair, notes in found.items()}, publications
    return {pair: tuple(notes) for pair, notes in found.items()}, publications


def _folded(source: str, target: str, directed: bool) -> tuple[str, str]:
    """How a pair is looked up: without regard to case, and to order where there is no direction."""
    a, b = source.casefold(), target.casefold()
    return (a, b) if directed or a <= b else (b, a)


_WELL_KNOWN = {
    "trrust": "TRRUST",
    "collectri": "CollecTRI",
    "corum": "CORUM",
    "allcomplexes": "CORUM",
    "corecomplexes": "CORUM",
    "dorothea": "DoRothEA",
    "omnipath": "OmniPath",
    "biogrid": "BioGRID",
    "string": "STRING",
    "protein.links": "STRING",
    "protein.physical": "STRING",
}


def _shown_name(file_name: str) -> str:
    """'TRRUST' for trrust_v2_human.tsv; other files by their name without ending."""
    stem = stem_of(file_name)
    bare = re.sub(r"^\d+\.", "", stem).casefold()  # STRING puts the species first: 9606.protein.links
    return next((name for start, name in _WELL_KNOWN.items() if bare.startswith(start)), stem)
