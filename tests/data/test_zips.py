"""Archives of strangers, and the room on the disk."""

import io
import struct
import threading
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpovae_core.data import folder, room
from gpovae_core.data.room import RoomError, check_room, copy_within, in_words, kept_free, room_in
from gpovae_core.data.zips import ZipLimits, open_zip, unpack

LIMITS = ZipLimits(entries=100, unpacked=10**8)


def packed(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_an_archive_within_its_limits_opens_and_unpacks(tmp_path):
    file = packed(tmp_path / "a.zip", {"one.txt": b"cells", "two.txt": b"genes" * 1000})
    with open_zip(file, LIMITS) as archive:
        for info in archive.infolist():
            unpack(archive, info, tmp_path / info.filename)
    assert (tmp_path / "one.txt").read_bytes() == b"cells"
    assert (tmp_path / "two.txt").read_bytes() == b"genes" * 1000


def test_an_archive_that_unpacks_to_more_than_a_hundred_times_itself_is_refused(tmp_path):
    file = packed(tmp_path / "a.zip", {"config.json": bytes(20_000_000)})
    with pytest.raises(RoomError, match=r"would unpack to 20\.0 MB, more than 100 times"):
        open_zip(file, LIMITS)
    open_zip(file, ZipLimits(100, 10**8, ratio=None)).close()


def test_entries_that_claim_more_packed_bytes_than_the_file_has_do_not_lower_the_ratio(tmp_path):
    """The list of contents is written by hand: it says that 20 MB are packed as 10 MB."""
    file = packed(tmp_path / "a.zip", {"config.json": bytes(20_000_000)})
    content = bytearray(file.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 20 : at + 24] = struct.pack("<I", 10_000_000)
    file.write_bytes(content)
    with pytest.raises(RoomError, match="more than 100 times"):
        open_zip(file, LIMITS)


@pytest.mark.parametrize("entries", [101, 100_000])
def test_too_many_entries_are_refused_before_they_are_listed(tmp_path, entries):
    """100,000 entries are more than the short fields of the format count: that archive is a zip64."""
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(entries):
            archive.writestr(f"{number}.json", b"")
    tracemalloc.start()
    begun = time.perf_counter()
    with pytest.raises(RoomError, match=f"holds {entries:,} files; at most 100 are read"):
        open_zip(file, LIMITS)
    assert time.perf_counter() - begun < 2
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_list_of_contents_that_is_longer_than_its_number_says_is_refused(tmp_path):
    file = packed(tmp_path / "a.zip", {f"{number:03d}" * 60: b"" for number in range(500)})
    content = bytearray(file.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 8 : end + 12] = struct.pack("<HH", 3, 3)
    file.write_bytes(content)
    with pytest.raises(RoomError):
        open_zip(file, LIMITS)


def test_what_is_declared_beyond_the_limit_is_refused(tmp_path):
    file = packed(tmp_path / "a.zip", {"a": b"abc" * 1000})
    with pytest.raises(RoomError, match=r"would unpack to 3\.0 kB; at most 2\.0 kB"):
        open_zip(file, ZipLimits(10, 2000))


def test_links_and_locked_entries_are_named(tmp_path):
    link = zipfile.ZipInfo("one/config.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(RoomError, match=r"'one/config\.json' in 'a\.zip' is a link"):
        open_zip(tmp_path / "a.zip", LIMITS)
    file = packed(tmp_path / "b.zip", {"config.json": b"x"})
    content = bytearray(file.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    with pytest.raises(RoomError, match="locked by a password"):
        open_zip(file, LIMITS)


@pytest.mark.parametrize("left", [0.3, 0.9, 0.99])
def test_a_cut_end_is_damage(tmp_path, left):
    file = packed(tmp_path / "a.zip", {f"{number}.json": bytes(range(256)) for number in range(20)})
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content))])
    with pytest.raises(zipfile.BadZipFile):
        open_zip(file, LIMITS)


def test_an_entry_that_is_longer_than_it_says_is_cut_off(tmp_path):
    file = packed(tmp_path / "a.zip", {"config.json": b"abc" * 1000})
    content = bytearray(file.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    file.write_bytes(content)
    with open_zip(file, LIMITS) as archive, pytest.raises((RoomError, zipfile.BadZipFile)):
        unpack(archive, archive.infolist()[0], tmp_path / "out")
    assert (tmp_path / "out").stat().st_size <= 10


def test_room_leaves_a_margin_that_the_environment_sets(tmp_path, monkeypatch):
    monkeypatch.setenv(room.KEEP_FREE, "0")
    everything = room_in(tmp_path / "not" / "there" / "yet")
    monkeypatch.setenv(room.KEEP_FREE, "0.5")
    assert abs(everything - room_in(tmp_path) - 5e8) < 1e8
    monkeypatch.setenv(room.KEEP_FREE, "1e9")
    assert room_in(tmp_path) == 0
    with pytest.raises(RoomError, match=r"The run takes 2\.0 kB, and there is room for 0 bytes"):
        check_room(2000, tmp_path, "The run")
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv(room.KEEP_FREE, wrong)
        with pytest.raises(RoomError, match="expected gigabytes"):
            kept_free()


def test_a_stream_is_copied_as_far_as_it_may(tmp_path, monkeypatch):
    target = io.BytesIO()
    assert copy_within(io.BytesIO(b"abc"), target, tmp_path, "It") == 3
    assert target.getvalue() == b"abc"
    with pytest.raises(RoomError, match=r"at most 1\.0 MB"):
        copy_within(io.BytesIO(bytes(5 * room.BLOCK)), target, tmp_path, "It", most=10**6)
    assert len(target.getvalue()) < 10**6
    monkeypatch.setenv(room.KEEP_FREE, "1e9")
    with pytest.raises(RoomError, match="kept free"):
        copy_within(io.BytesIO(b"abc"), target, tmp_path, "It")


def test_an_upload_that_would_be_refused_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "ANY_STORE", ZipLimits(entries=3, unpacked=10**8))
    many = packed(tmp_path / "a.zip", {f"{number}": b"" for number in range(5)}).read_bytes()
    alike = packed(tmp_path / "b.zip", {"X/0": bytes(3_000_000)}).read_bytes()
    kept = tmp_path / "data"
    nested = packed(tmp_path / "n.zip", {"inner.ZIP": many}).read_bytes()
    for content, words in (
        (many, "'a.zarr.zip' holds 5 files"),
        (alike, "'a.zarr.zip' has .* 100 times"),
        (nested, "'inner.ZIP' in 'a.zarr.zip' is an archive itself"),
    ):
        with pytest.raises(RoomError, match=words):
            folder.save_upload(kept, "a.zarr.zip", io.BytesIO(content))
    assert list(kept.iterdir()) == []
    cut = packed(tmp_path / "c.zip", {"X": b"abc"}).read_bytes()[:-5]
    assert folder.save_upload(kept, "c.zarr.zip", io.BytesIO(cut)).name == "c.zarr.zip"


def test_two_uploads_of_one_name_at_once_are_two_files(tmp_path):
    both = threading.Barrier(2)

    class Slow(io.BytesIO):
        """Content whose first piece comes only when the other upload has begun as well."""

        def read(self, size=-1):
            if self.tell() == 0:
                both.wait(timeout=20)
            return super().read(size)

    contents = [packed(tmp_path / f"{name}.zip", {name: name.encode() * 50}).read_bytes() for name in "ab"]
    with ThreadPoolExecutor(2) as people:
        saved = list(
            people.map(
                lambda content: folder.save_upload(tmp_path / "data", "x.zarr.zip", Slow(content)), contents
            )
        )
    assert len({file.name for file in saved}) == 2
    assert [(tmp_path / "data" / file.name).read_bytes() for file in saved] == contents
    assert len(list((tmp_path / "data").iterdir())) == 2


def test_sizes_in_words():
    assert [in_words(n) for n in (7, 1500, 2.5e6, 64e9)] == ["7 bytes", "1.5 kB", "2.5 MB", "64.0 GB"]
