"""How tables of known edges are laid out: which columns hold what, and what a row says of its edge."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpovae_core import keys
from gpovae_core.data.text_tables import plain_name

SOURCES = (
    "source_genesymbol",
    "source_gene_symbol",
    "source_symbol",
    "regulator_symbol",
    "tf_symbol",
    keys.SOURCE,
    "tf",
    "regulator",
    "transcription_factor",
    "tf_name",
    "source_gene",
    "entitya",  # SIGNOR
    "from",
)
TARGETS = (
    "target_genesymbol",
    "target_gene_symbol",
    "target_symbol",
    keys.TARGET,
    "target_gene",
    "targetgene",
    "target_name",
    "gene_symbol",
    "gene",
    "entityb",
    "to",
)
OF_HARMONIZOME = {"source_desc", "target_desc"}
"""Beside these columns source is a gene and target its attribute, the factor that binds it in ENCODE, ChEA
and others; the line below the names describes the columns.
"""
PAIRS = (
    ("gene1", "gene2"),
    ("gene_1", "gene_2"),
    ("gene_a", "gene_b"),
    ("official_symbol_interactor_a", "official_symbol_interactor_b"),
    ("official_symbol_a", "official_symbol_b"),
    ("symbol_a", "symbol_b"),
    ("node1", "node2"),
    ("preferredname_a", "preferredname_b"),
    ("protein1", "protein2"),
)
MEMBERS = ("subunits_gene_name", "subunits_gene_names", "subunits_genes")
"""Columns with all genes of a complex, separated by semicolons: CORUM 1 to 5."""
COMPLEXES = ("complexname", "complex_name", "complex")
SIGNS = (keys.SIGN, "mor", "mode_of_regulation", "regulation", "effect", "mode")
"""Columns that say whether an edge activates, in words or numbers."""
STIMULATES = ("consensus_stimulation", "is_stimulation")
INHIBITS = ("consensus_inhibition", "is_inhibition")
NOTES = ("complex", "experimental_system_type")
OF_DECOUPLER = {"resources", "references", "sign_decision", "pmid", "confidence"}
"""Columns beside which a weight is a sign, whatever its values."""
PUBLICATIONS = ("publication_source", "publications", "publication", "references", "reference", "doi")
"""Columns that name the publications which an edge was read from, where none is of PubMed by its name; the
first is that of BioGRID.
"""

_TRRUST_SIGNS = {"activation", "repression", "unknown"}
_YES = {"1", "true", "t", "yes", "1.0"}
_PUBMED = re.compile(r"(?:[A-Za-z][\w .-]*:)*(\d{1,8})(?:\.0)?")
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|(?:[A-Za-z][\w -]*:)*)(10\.\d{4,9}/\S+)")


@dataclass(frozen=True)
class Form:
    """Where a table holds what: places of its columns. directed: whether an edge runs one way; first, second:
    the genes; members: all genes of a complex, in the place of the two; sign: in words or numbers, weighed:
    a column whose sign may be that of the edge; up, down: whether the edge activates, or represses; one_way:
    whether the direction is known; score: confidence of a link, score_of_1000; publications: what an edge was
    read from.
    """

    directed: bool
    first: int
    second: int
    members: int | None = None
    sign: int | None = None
    weighed: int | None = None
    note: int | None = None
    up: int | None = None
    down: int | None = None
    one_way: int | None = None
    score: int | None = None
    publications: int | None = None


def form_of(names: Sequence[str]) -> Form | None:
    """How a table with these columns is read; None for none that is known."""
    header = [plain_name(name) for name in names]

    def at(*wanted: str) -> int | None:
        return next((header.index(name) for name in wanted if name in header), None)

    members, read_from = at(*MEMBERS), _of_pubmed(header)
    read_from = at(*PUBLICATIONS) if read_from is None else read_from
    if members is not None:
        return Form(False, members, members, members=members, note=at(*COMPLEXES), publications=read_from)
    for a, b in PAIRS:
        if a in header and b in header:
            score = at("combined_score") if a == "protein1" else None
            places = header.index(a), header.index(b)
            return Form(False, *places, note=at(*NOTES), score=score, publications=read_from)
    if set(header) >= OF_HARMONIZOME and {keys.SOURCE, keys.TARGET} <= set(header):
        return Form(True, header.index(keys.TARGET), header.index(keys.SOURCE))
    first, second = at(*SOURCES), at(*TARGETS)
    if first is None or second is None:
        return None
    return Form(
        True,
        first,
        second,
        sign=at(*SIGNS),
        weighed=at(keys.WEIGHT),
        note=at(*NOTES),
        up=at(*STIMULATES),
        down=at(*INHIBITS),
        one_way=at("is_directed"),
        publications=read_from,
    )


def _of_pubmed(header: Sequence[str]) -> int | None:
    """The first column of PubMed ids, however that is written; a number of them is none."""
    names = ((place, name.split("_")) for place, name in enumerate(header))
    return next(
        (
            place
            for place, parts in names
            if any("pubmed" in part or "pmid" in part for part in parts)
            and not {"n", "num", "number", "count", "counts"} & set(parts)
        ),
        None,
    )


def is_bare_trrust(first_row: Sequence[str]) -> bool:
    """TRRUST is distributed without a line of names: TF, target, mode, references."""
    return len(first_row) >= 3 and first_row[2].casefold() in _TRRUST_SIGNS


def genes_of(gene: str, row: list[str]) -> list[str]:
    """OmniPath names a complex by the symbols of its genes, joined by underscores, beside COMPLEX:ids."""
    if "_" in gene and any(cell.startswith("COMPLEX:") for cell in row[:2]):
        return gene.split("_")
    return [gene]


def note_of(row: list[str], form: Form) -> str:
    """What the table says on an edge: its sign, else a complex or a kind of experiment."""

    def cell(place: int | None) -> str:
        return "" if place is None or len(row) <= place else row[place].strip()

    if form.sign is not None:
        return cell(form.sign)
    if form.up is not None and form.down is not None:
        up, down = yes(cell(form.up)), yes(cell(form.down))
        return "+1" if up and not down else "-1" if down and not up else ""
    return cell(form.weighed) if form.weighed is not None else cell(form.note)


def publications_of(row: list[str], form: Form) -> tuple[str, ...]:
    """'PMID 22909821' and 'doi 10.1038/…' in the cell of a row; what a resource is called before an id, and
    words, are passed over. Beside prose ('Smith et al., 2020') a bare number is none.
    """
    if form.publications is None or len(row) <= form.publications:
        return ()
    text = re.sub(r":\s+", ":", row[form.publications])  # PMID: 33
    parts = [part.strip() for part in re.split("[;,|]", text)]
    prose = any(" " in part for part in parts)
    found = []
    for part in parts:
        if (pubmed := _PUBMED.fullmatch(part)) and not (prose and part[0].isdigit()):
            found.append(f"PMID {int(pubmed[1])}")
        elif doi := _DOI.fullmatch(part):
            found.append(f"doi {doi[1]}")
    return tuple(dict.fromkeys(found))


def meaning_of_weights(values: set[str], header: set[str]) -> Callable[[str], str]:
    """Weights of both signs, or beside what decoupler writes, are signs; others, such as probabilities, say
    none.
    """
    numbers = [as_number(value) for value in values]
    signed = any(number < 0 for number in numbers) or bool(header & OF_DECOUPLER)

    def meant(value: str) -> str:
        number = as_number(value)
        return "" if not signed else "+1" if number > 0 else "-1" if number < 0 else ""

    return meant


def as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def yes(text: str) -> bool:
    return text.strip().casefold() in _YES
