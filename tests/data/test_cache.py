"""Prepared cells are kept whole, and what a killed process left does not stay for ever."""

from __future__ import annotations

import os
import time

from gpovae_core.data.cache import ABANDONED, keep, keep_cells, take


def test_kept_cells_are_taken_as_they_were(tmp_path):
    cells, kept = tmp_path / "cells.h5ad", tmp_path / "cache" / "kept.h5ad"
    cells.write_text("cells")
    keep(cells, kept)
    assert take(kept, tmp_path / "taken.h5ad")
    assert (tmp_path / "taken.h5ad").read_text() == "cells"
    assert not take(tmp_path / "cache" / "none.h5ad", tmp_path / "taken.h5ad")


def test_half_written_files_go_once_nobody_can_be_writing_them(tmp_path):
    old, new = tmp_path / ".old.h5ad.1.part", tmp_path / ".new.h5ad.2.part"
    for path in (old, new):
        path.write_text("half")
    long_ago = time.time() - ABANDONED - 1
    os.utime(old, (long_ago, long_ago))
    keep_cells(lambda path: path.touch(), tmp_path / "kept.h5ad")
    assert sorted(path.name for path in tmp_path.iterdir()) == [new.name, "kept.h5ad"]
