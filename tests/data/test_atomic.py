"""A file is replaced as a whole or not at all."""

from __future__ import annotations

import errno

import pytest

from gpovae_core.data.atomic import READABLE, aside_of, replacing, write_text


def test_the_new_file_takes_the_place_when_it_is_whole(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with replacing(path) as aside:
        assert aside.match(".*.part")
        assert aside.parent == path.parent
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [child.name for child in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("folder", [False, True])
def test_what_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, error, folder):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def half_way() -> None:
        with replacing(path) as aside:
            if folder:
                aside.mkdir()
                (aside / "half").write_text("half")
            else:
                aside.write_text("half")
            raise error

    with pytest.raises(type(error)):
        half_way()
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["x.txt"]


def test_permissions_where_a_library_sets_its_own(tmp_path):
    path = tmp_path / "x"
    with replacing(path, READABLE) as aside:
        aside.touch(0o600)
    assert path.stat().st_mode & 0o777 == READABLE


def test_text(tmp_path):
    write_text(tmp_path / "x", "one")
    write_text(tmp_path / "x", "two")
    assert (tmp_path / "x").read_text() == "two"
    assert not aside_of(tmp_path / "x").exists()
