"""SLURM's commands on PATH, with recorded answers."""

from __future__ import annotations

from pathlib import Path

from gpovae_core.runs.clusters import slurm

SITES = """
[gpu]
about = "Four nodes"
partition = "long"
account = "lab"
gpu_type = "a100"
gpus = 2
hours = 1.5
memory_gb = 8
options = { constraint = "fast&new" }
"""
FAKE = """#!/bin/sh
name=$(basename "$0")
printf '%s\\n' "$@" >> "$FAKE_SLURM/$name.asked"
[ "$name" = sbatch ] && cat > "$FAKE_SLURM/script"
[ "$name" = scancel ] && [ -f "$FAKE_SLURM/after" ] && mv "$FAKE_SLURM/after" "$FAKE_SLURM/squeue.out"
if [ -f "$FAKE_SLURM/$name.err" ]; then cat "$FAKE_SLURM/$name.err" >&2; exit 1; fi
[ -f "$FAKE_SLURM/$name.out" ] && cat "$FAKE_SLURM/$name.out"
exit 0
"""


class FakeSlurm:
    """SLURM's commands on PATH: each gives what was recorded, and notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol"):
            (folder / name).write_text(FAKE)
            (folder / name).chmod(0o755)
        self.says("sbatch", "71\n")

    def says(self, name: str, out: str = "", err: str = "") -> None:
        for ending, text in (("out", out), ("err", err)):
            path = self.folder / f"{name}.{ending}"
            path.unlink(missing_ok=True)
            if text:
                path.write_text(text)
        slurm._seen.clear()

    def says_once_cancelled(self, out: str) -> None:
        """What squeue says from the next scancel on."""
        (self.folder / "after").write_text(out)

    def asked(self, name: str) -> list[str]:
        path = self.folder / f"{name}.asked"
        return path.read_text().splitlines() if path.exists() else []
