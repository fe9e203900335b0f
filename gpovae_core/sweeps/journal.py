"""The file in which Optuna keeps a study, with lines that are whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

BLOCK = 1 << 16


class WholeLines(JournalFileBackend):
    """Optuna's journal. A line that a full disk or a killed process cut off is taken away before the next is
    written: joined to it, it could never be read again, and neither could what follows.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._writing = path, JournalFileSymlinkLock(str(path))
        super().__init__(str(path), self._writing)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """One line for each of `logs`. Raises OSError where they cannot be written."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._writing.acquire()
        try:
            with self._path.open("r+b", buffering=0) as file:
                file.truncate(_end_of_lines(file))
                file.seek(0, os.SEEK_END)
                left = memoryview(lines.encode())
                while left:
                    left = left[file.write(left) or 0 :]
                os.fsync(file.fileno())
        finally:
            self._writing.release()


def _end_of_lines(file: IO[bytes]) -> int:
    """Bytes up to the end of the last whole line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
