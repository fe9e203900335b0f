"""Networks that somebody else found: read from plain tables, and asked whether they know an edge.

Directed tables have the columns source and target (TRRUST, CollecTRI, `gpovae network`); undirected ones
gene1 and gene2 (members of one complex, as in CORUM). A column sign (words or numbers) is kept as it stands,
gzip is understood. Gene symbols are compared without regard to upper and lower case. Nothing but text is read
from a file.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gpovae_core import keys
from gpovae_core.errors import QueryError

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
EXPECTED = (
    "Expected a table (CSV or tab-separated) with the columns source and target, or gene1 and gene2 for "
    "pairs without a direction."
)
MOST_BYTES = 200_000_000
"""More than any curated network needs, and little enough to read."""

_ACTIVATING = ("activat", "upregul", "positive", "stimul")
_REPRESSING = ("repress", "downregul", "negative", "inhibit")
_NOTES = (keys.SIGN, "complex", "effect", "mode")


@dataclass(frozen=True)
class ReferenceNetwork:
    """name: as shown; directed: whether an edge runs one way; known: folded pair -> what the table notes on
    it (signs, complexes).
    """

    name: str
    directed: bool
    known: dict[tuple[str, str], tuple[str, ...]]

    @property
    def genes(self) -> frozenset[str]:
        """Folded symbols of every gene of the table."""
        return frozenset(gene for pair in self.known for gene in pair)

    def knows(self, source: str, target: str) -> Known:
        """What the table says on source -> target."""
        notes = self.known.get(_folded(source, target, self.directed))
        reverse = self.directed and _folded(target, source, True) in self.known
        return Known(
            self.name,
            notes is not None,
            reverse,
            tuple(n for n in notes or () if n),
            self._listed[source.casefold()],
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

    listed: edges of the source in the table; 0 means that its absence says nothing at all.
    """

    reference: str
    found: bool
    reverse: bool
    notes: tuple[str, ...]
    listed: int = 0

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
    return Path(os.environ.get("GPOVAE_NETWORKS_DIR", "networks"))


def read_references(folder: Path) -> tuple[list[ReferenceNetwork], list[str]]:
    """Every table of a folder, by name, and in words what could not be read; nothing where there is no such
    folder.
    """
    networks, faults = [], []
    files = (
        sorted(path for path in Path(folder).iterdir() if path.name.endswith(SUFFIXES))
        if Path(folder).is_dir()
        else []
    )
    for path in files:
        try:
            networks.append(read_reference(path.read_bytes(), path.name))
        except OSError as error:
            faults.append(f"'{path.name}' cannot be read: {error.strerror or error}.")
        except QueryError as error:
            faults.append(str(error))
    return networks, faults


def read_reference(content: bytes, file_name: str) -> ReferenceNetwork:
    """The network in the bytes of a file. Raises QueryError that says what is wrong with it."""
    lines = io.StringIO(_text(content, file_name), newline="")
    start, first = 0, lines.readline()
    while first.startswith("#"):  # facts above a table, as this project's own exports have them
        start, first = lines.tell(), lines.readline()
    lines.seek(start)
    rows = csv.reader(lines, delimiter="\t" if "\t" in first else ",")
    try:
        header = [name.strip().casefold() for name in next(rows, [])]
        ends, directed = _ends(header, file_name)
        notes = next((header.index(name) for name in _NOTES if name in header), None)
        known = _pairs(rows, ends, directed, notes)
    except csv.Error as error:
        raise QueryError(f"'{file_name}' is not a table that can be read ({error}). {EXPECTED}") from error
    if not known:
        raise QueryError(f"'{file_name}' lists no edges. {EXPECTED}")
    return ReferenceNetwork(_shown_name(file_name), directed, known)


def _text(content: bytes, file_name: str) -> str:
    try:
        if file_name.endswith(".gz"):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise QueryError(
                f"'{file_name}' holds more than {MOST_BYTES // 1_000_000} MB of text: leave out what is not "
                "needed."
            )
        return content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        raise QueryError(f"'{file_name}' is not a text file. {EXPECTED}") from None


def _ends(header: list[str], file_name: str) -> tuple[tuple[int, int], bool]:
    """Columns of the two genes, and whether they have a direction."""
    for names, directed in (((keys.SOURCE, keys.TARGET), True), (("gene1", "gene2"), False)):
        if all(name in header for name in names):
            return (header.index(names[0]), header.index(names[1])), directed
    raise QueryError(f"'{file_name}' has the columns {', '.join(header)[:200] or 'none'}. {EXPECTED}")


def _pairs(
    rows: Iterable[list[str]], ends: tuple[int, int], directed: bool, notes: int | None
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Folded pairs with the different notes on each, in the order of the file; lines too short to name two
    genes are passed over.
    """
    found: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if len(row) <= max(ends):
            continue
        key = _folded(row[ends[0]].strip(), row[ends[1]].strip(), directed)
        if not all(key):
            continue
        note = row[notes].strip() if notes is not None and len(row) > notes else ""
        found.setdefault(key, {})[note] = None
    return {pair: tuple(noted) for pair, noted in found.items()}


def _folded(source: str, target: str, directed: bool) -> tuple[str, str]:
    """How a pair is looked up: without regard to case, and to order where there is no direction."""
    a, b = source.casefold(), target.casefold()
    return (a, b) if directed or a <= b else (b, a)


_WELL_KNOWN = {"trrust": "TRRUST", "collectri": "CollecTRI", "corum": "CORUM"}


def _shown_name(file_name: str) -> str:
    """'TRRUST' for trrust_v2_human.tsv; other files by their name without ending."""
    stem = next(
        (file_name[: -len(suffix)] for suffix in reversed(SUFFIXES) if file_name.endswith(suffix)), file_name
    )
    return next((name for start, name in _WELL_KNOWN.items() if stem.casefold().startswith(start)), stem)
