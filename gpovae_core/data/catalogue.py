"""Public Perturb-seq data sets that can be fetched: the harmonised files of scPerturb (Peidli et al. 2024) on
Zenodo.

Nothing is asked of another host unless somebody asks for it. Size and checksum come from Zenodo's record at
that moment; a download that was cut off goes on where it stopped, and a file that does not match its checksum
is thrown away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.room import check_room
from gpovae_core.errors import GpoVaeError

RECORD = "https://zenodo.org/api/records/13350497"
FILES = "https://zenodo.org/records/13350497/files"
COLLECTION = "scPerturb 1.4, doi 10.5281/zenodo.7041848"
LICENCE = "CC BY 4.0"
PARTIAL = ".download"
"""Ending of a download that is not whole yet."""
TIMEOUT = (10, 60)  # seconds to connect, and between two blocks
_BLOCK = 1 << 18

"""Called with the bytes that are here and the bytes there are."""


class FetchError(GpoVaeError):
    """A data set that could not be fetched: no network, no such file, a checksum that does not fit."""


@dataclass(frozen=True)
class PublicData:
    """A data set that can be fetched. file: a regular expression for its name in the record, since two names
    are only known in part.
    """

    key: str
    title: str
    what: str
    file: str
    paper: str


@dataclass(frozen=True)
class Listing:
    """A data set as the record lists it now."""

    data: PublicData
    name: str
    address: str
    size: int  # bytes
    checksum: str  # "md5:..."


CATALOGUE = (
    PublicData(
        "replogle-k562",
        "Replogle 2022, K562 essential",
        "CRISPRi of about 2,000 essential genes in K562 cells, whole transcriptome. The largest set of "
        "the GPO-VAE paper.",
        r"ReplogleWeissman2022_K562_essential\.h5ad",
        "10.1016/j.cell.2022.05.013",
    ),
    PublicData(
        "replogle-rpe1",
        "Replogle 2022, RPE1",
        "CRISPRi of essential genes in RPE1 cells, whole transcriptome. Used in the GPO-VAE paper.",
        r"ReplogleWeissman2022_rpe1\.h5ad",
        "10.1016/j.cell.2022.05.013",
    ),
    PublicData(
        "adamson",
        "Adamson 2016, UPR Perturb-seq",
        "CRISPRi of regulators of the unfolded protein response in K562 cells. Used in the GPO-VAE paper.",
        r"AdamsonWeissman2016_.*(UPR|upr).*\.h5ad|AdamsonWeissman2016_GSM2406681_10X010\.h5ad",
        "10.1016/j.cell.2016.11.048",
    ),
    PublicData(
        "norman",
        "Norman 2019, pairs",
        "CRISPR activation of single genes and pairs of genes in K562 cells.",
        r"NormanWeissman2019_filtered\.h5ad",
        "10.1126/science.aax4438",
    ),
    PublicData(
        "dixit",
        "Dixit 2016",
        "Knock-out of transcription factors, among the first Perturb-seq screens.",
        r"DixitRegev2016.*\.h5ad",
        "10.1016/j.cell.2016.11.038",
    ),
)
BY_KEY = {data.key: data for data in CATALOGUE}


def find(key: str) -> PublicData:
    """The data set of that key. Raises FetchError that names those there are."""
    if key not in BY_KEY:
        raise FetchError(f"There is no public data set '{key}' here. Choose one of {', '.join(BY_KEY)}.")
    return BY_KEY[key]


def look_up(data: PublicData, record: str = RECORD) -> Listing:
    """Ask the record for name, address, size and checksum of a data set. Raises FetchError in words, offline
    too.
    """
    import requests

    try:
        answer = requests.get(record, timeout=TIMEOUT, headers={"Accept": "application/json"})
        answer.raise_for_status()
        listed = answer.json()
    except (requests.ConnectionError, requests.Timeout) as error:
        raise FetchError(_offline(record)) from error
    except (requests.RequestException, ValueError) as error:
        raise FetchError(
            f"{record} did not answer as expected ({_first_line(error)}). Try again later."
        ) from error
    files = [_listing(data, entry) for entry in listed.get("files", [])] if isinstance(listed, dict) else []
    found = sorted((file for file in files if file is not None), key=lambda file: -file.size)
    if not found:
        raise FetchError(
            f"The record {record} lists no file of '{data.title}'. It may have moved: look for doi "
            f"{data.paper}."
        )
    return found[0]


def _listing(data: PublicData, entry: Any) -> Listing | None:
    """One file of a record, where it is that of the data set and everything needed is said about it."""
    if not isinstance(entry, dict):
        return None
    name, size, checksum = entry.get("key"), entry.get("size"), entry.get("checksum")
    link = (entry.get("links") or {}).get("self") if isinstance(entry.get("links"), dict) else None
    if not (isinstance(name, str) and re.fullmatch(data.file, name) and isinstance(size, int)):
        return None
    if not (isinstance(checksum, str) and re.fullmatch(r"(md5|sha256):[0-9a-f]+", checksum)):
        return None
    return Listing(
        data, name, link if isinstance(link, str) else f"{FILES}/{name}?download=1", size, checksum
    )


def fetch(listing: Listing, folder: Path, progress: Progress | None = None) -> Path:
    """Download a data set into `folder`, checked against its checksum; what is there already is not fetched
    again.

    A download that was cut off is continued. Raises FetchError where there is no network, no room, or another
    file at the address.
    """
    import pooch

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / listing.name
    if (
        target.exists()
        and pooch.file_hash(str(target), alg=listing.checksum.partition(":")[0])
        == listing.checksum.partition(":")[2]
    ):
        tell(progress, f"fetching {listing.name}", 1.0)
        return target
    check_room(
        listing.size - partial_bytes(folder, listing.name), folder, f"What is left of '{listing.name}'"
    )

    def download(address: str, out: Any, _pooch: object) -> None:
        _continue(address, folder / (listing.name + PARTIAL), listing, progress).replace(out)

    downloader: Any = download  # pooch itself cannot continue a download
    try:
        found = pooch.retrieve(
            listing.address,
            known_hash=listing.checksum,
            fname=listing.name,
            path=folder,
            downloader=downloader,
        )
    except ValueError as error:  # pooch's word for a wrong checksum
        raise FetchError(
            f"What came from {listing.address} does not match the checksum in the record "
            f"({listing.checksum}); it was thrown away. Fetch it again; if that fails too, the address "
            "holds another file."
        ) from error
    return Path(found)


def partial_bytes(folder: Path, name: str) -> int:
    """Bytes of a download that is not whole yet; 0 where there is none."""
    part = folder / (name + PARTIAL)
    return part.stat().st_size if part.is_file() else 0


def _continue(address: str, part: Path, listing: Listing, progress: Progress | None) -> Path:
    """Fetch what is missing of `part`; returns it once it has all bytes."""
    import requests

    size, words = listing.size, f"fetching {listing.name}"

    here = part.stat().st_size if part.exists() else 0
    if here > size:  # of another file
        part.unlink()
        here = 0
    tell(progress, words, here / max(1, size))
    if here == size:
        return part
    try:
        with requests.get(
            address, stream=True, timeout=TIMEOUT, headers={"Range": f"bytes={here}-"} if here else {}
        ) as answer:
            answer.raise_for_status()
            continued = answer.status_code == 206
            with part.open("ab" if continued else "wb") as out:
                here = here if continued else 0
                for block in answer.iter_content(_BLOCK):
                    out.write(block)
                    here += len(block)
                    tell(progress, words, here / max(1, size))
                    if here > size:
                        break
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        if here:
            raise FetchError(f"{_cut(here, size)} Fetch it again: it goes on from there.") from error
        raise FetchError(_offline(address)) from error
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else "?"
        raise FetchError(
            f"{address} answered with error {code}: the file may have moved. Nothing was changed."
        ) from error
    except OSError as error:
        raise FetchError(
            f"'{part.name}' could not be written ({error.strerror or error}). Make room, then fetch it again."
        ) from error
    if here != size:
        if here > size:
            part.unlink(missing_ok=True)
            raise FetchError(
                f"{address} sent more than the {size:,} bytes in the record: it holds another file now."
            )
        raise FetchError(f"{_cut(here, size)} Fetch it again: it goes on from there.")
    return part


def _cut(here: int, size: int) -> str:
    return f"The connection was cut after {here / 1e6:,.1f} of {size / 1e6:,.1f} MB."


def _offline(address: str) -> str:
    host = address.split("/")[2] if "//" in address else address
    return (
        f"{host} cannot be reached: this machine seems to be offline, or a firewall is in the way. Your own "
        "files need no network."
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
