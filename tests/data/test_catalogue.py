"""Fetching a public data set, against a small server on this machine that plays Zenodo: no other host is
asked.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from gpovae_core.data import catalogue
from gpovae_core.data.catalogue import FetchError, fetch, find, look_up, partial_bytes
from gpovae_core.data.room import RoomError

CONTENT = np.random.default_rng(0).bytes(900_000)
NORMAN = "NormanWeissman2019_filtered.h5ad"


class Zenodo:
    """The record and its files; the knobs make it go wrong."""

    def __init__(self) -> None:
        self.content, self.cut_after, self.ranges, self.asked = CONTENT, None, True, []
        self.md5 = hashlib.md5(CONTENT).hexdigest()
        self.size, self.names, self.status, self.record_text = len(CONTENT), [NORMAN], 200, None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Range")))
                if "api" in self.path:
                    outer.record(self)
                else:
                    outer.file(self)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("localhost", 0), Handler)
        self.address = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def record(self, handler: BaseHTTPRequestHandler) -> None:
        files = [
            {
                "key": name,
                "size": self.size,
                "checksum": f"md5:{self.md5}",
                "links": {"self": f"{self.address}/files/{name}"},
            }
            for name in self.names
        ]
        text = self.record_text if self.record_text is not None else json.dumps({"files": files})
        handler.send_response(self.status)
        handler.end_headers()
        handler.wfile.write(text.encode())

    def file(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range") if self.ranges else None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        handler.send_response(206 if wanted else self.status)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        handler.wfile.write(self.content[start : self.cut_after])


@pytest.fixture
def zenodo() -> Iterator[Zenodo]:
    made = Zenodo()
    yield made
    made.server.shutdown()


def listing(zenodo: Zenodo) -> catalogue.Listing:
    return look_up(find("norman"), f"{zenodo.address}/api/records/1")


def test_size_checksum_and_address_come_from_the_record(zenodo):
    found = listing(zenodo)
    assert (found.name, found.size, found.checksum) == (NORMAN, len(CONTENT), f"md5:{zenodo.md5}")
    assert found.address.startswith(zenodo.address)
    assert [path for path, _ in zenodo.asked] == ["/api/records/1"], "nothing is fetched by looking"


def test_a_file_is_fetched_once_with_progress(zenodo, tmp_path):
    told: list[tuple[str, float]] = []
    path = fetch(listing(zenodo), tmp_path, lambda words, share: told.append((words, share)))
    assert path.read_bytes() == CONTENT
    assert told[0] == (f"fetching {NORMAN}", 0.0)
    assert told[-1] == (f"fetching {NORMAN}", 1.0)
    assert told == sorted(told)
    before = len(zenodo.asked)
    assert fetch(listing(zenodo), tmp_path) == path
    assert len(zenodo.asked) == before + 1, "only the record was asked again"
    assert [p.name for p in tmp_path.iterdir()] == [NORMAN]


def test_a_cut_download_goes_on_where_it_stopped(zenodo, tmp_path):
    zenodo.cut_after = 300_000
    with pytest.raises(FetchError, match="cut after"):
        fetch(listing(zenodo), tmp_path)
    here = partial_bytes(tmp_path, NORMAN)
    assert 0 < here <= 300_000
    assert not (tmp_path / NORMAN).exists()
    zenodo.cut_after = None
    assert fetch(listing(zenodo), tmp_path).read_bytes() == CONTENT
    assert zenodo.asked[-1][1] == f"bytes={here}-"


def test_a_server_that_cannot_continue_starts_over(zenodo, tmp_path):
    (tmp_path / (NORMAN + catalogue.PARTIAL)).write_bytes(b"x" * 1000)
    zenodo.ranges = False
    assert fetch(listing(zenodo), tmp_path).read_bytes() == CONTENT


def test_another_file_at_the_address_is_thrown_away(zenodo, tmp_path):
    zenodo.content = bytes(len(CONTENT))
    with pytest.raises(FetchError, match="does not match the checksum"):
        fetch(listing(zenodo), tmp_path)
    assert list(tmp_path.iterdir()) == []
    zenodo.content = CONTENT + b"more"
    with pytest.raises(FetchError, match=r"more than|cut"):
        fetch(listing(zenodo), tmp_path)
    assert not (tmp_path / NORMAN).exists()


@pytest.mark.parametrize("status", [404, 500])
def test_a_file_that_is_gone_is_said(zenodo, tmp_path, status):
    found = listing(zenodo)
    zenodo.status = status
    with pytest.raises(FetchError, match=str(status)):
        fetch(found, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": [{"key": 3}, null]}', '{"files": []}'])
def test_a_record_that_says_nothing_useful(zenodo, text):
    zenodo.record_text = text
    with pytest.raises(FetchError, match=r"did not answer as expected|lists no file"):
        listing(zenodo)


def test_offline_is_said(tmp_path):
    with pytest.raises(FetchError, match="seems to be offline"):
        look_up(find("norman"), "http://localhost:9/api")
    gone = catalogue.Listing(find("norman"), NORMAN, "http://localhost:9/x", 10, "md5:" + "0" * 32)
    with pytest.raises(FetchError, match="seems to be offline"):
        fetch(gone, tmp_path)


def test_no_room_is_said_before_anything_is_fetched(tmp_path):
    huge = catalogue.Listing(find("norman"), NORMAN, "http://localhost:9/x", 10**18, "md5:" + "0" * 32)
    with pytest.raises(RoomError, match=r"takes 1,000,000,000\.0 GB, and there is room"):
        fetch(huge, tmp_path)


def test_a_name_from_the_record_cannot_lead_anywhere(zenodo):
    zenodo.names = ["../../NormanWeissman2019_filtered.h5ad", "x/NormanWeissman2019_filtered.h5ad"]
    with pytest.raises(FetchError, match="lists no file"):
        listing(zenodo)


def test_a_key_that_is_not_there_names_those_that_are():
    with pytest.raises(FetchError, match="replogle-k562"):
        find("nothing")


def test_what_was_written_down_fits_the_names_in_the_record():
    names = {
        "replogle-k562": "ReplogleWeissman2022_K562_essential.h5ad",
        "replogle-rpe1": "ReplogleWeissman2022_rpe1.h5ad",
        "norman": NORMAN,
    }
    import re

    for key, name in names.items():
        assert [data.key for data in catalogue.CATALOGUE if re.fullmatch(data.file, name)] == [key]
    assert not [
        data for data in catalogue.CATALOGUE if re.fullmatch(data.file, "ReplogleWeissman2022_K562_gwps.h5ad")
    ]


def test_paths_are_of_this_system(zenodo, tmp_path: Path):
    assert fetch(listing(zenodo), tmp_path / "made" / "for" / "it").is_file()
