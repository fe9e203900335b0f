"""How long a training and its scoring say nothing: the longest time without another word or share, by stage.

    python benchmarks/silences.py --json                  # 20,000 cells x 3,000 genes, 100 perturbations
    python benchmarks/silences.py --cells 130000 --genes 8000 --perturbations 622 --least 5

silent_s: by the clock; processor_s: what this process worked meanwhile, which hangs less on what else the
machine does; where: the innermost line of this project at which the main thread was found most often in
silences longer than --least seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.preparation import write_screen  # noqa: E402
from gpovae_core.config import make_settings  # noqa: E402

LOOK_SECONDS = 0.5


class Listener:
    """A progress that remembers for how long nothing was said, and where the work was meanwhile."""

    def __init__(self, least: float) -> None:
        self.least = least
        self.said: tuple[str, float] = ("starting", 0.0)
        self.at, self.worked = time.perf_counter(), time.process_time()
        self.longest: dict[str, dict[str, Any]] = {}
        self.places: dict[str, Counter[str]] = {}
        self.main = threading.main_thread().ident
        self.over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def __call__(self, stage: str, share: float) -> None:
        if (stage, share) == self.said:
            return
        now, worked = time.perf_counter(), time.process_time()
        words = self._stage()
        silent = now - self.at
        if silent > self.longest.get(words, {}).get("silent_s", 0.0):
            self.longest[words] = {
                "silent_s": round(silent, 2),
                "processor_s": round(worked - self.worked, 2),
                "after": f"{self.said[0]} {self.said[1]:.1%}",
                "until": f"{stage} {share:.1%}",
            }
        self.said, self.at, self.worked = (stage, share), now, worked

    def _stage(self) -> str:
        return "training" if "validation loss" in self.said[0] else self.said[0]

    def _look(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            if time.perf_counter() - self.at > self.least:
                frame = sys._current_frames().get(self.main or 0)
                self.places.setdefault(self._stage(), Counter())[_own_line(frame)] += 1

    def found(self) -> dict[str, dict[str, Any]]:
        self.over.set()
        ordered = sorted(self.longest.items(), key=lambda item: -item[1]["silent_s"])
        return {
            words: values
            | {"where": [f"{line} x{n}" for line, n in self.places.get(words, Counter()).most_common(4)]}
            for words, values in ordered
        }


def _own_line(frame: FrameType | None) -> str:
    while frame is not None:
        file = frame.f_code.co_filename
        if "gpovae_core" in file and not file.endswith(("cores.py", "progress.py")):
            return f"{Path(file).relative_to(ROOT)}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--perturbations", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--ensemble", type=int, default=2)
    parser.add_argument("--least", type=float, default=1.0, help="seconds from which one is looked into")
    parser.add_argument("--file", type=Path, help="take or write this file instead of a temporary one")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    from gpovae_core import workflow

    settings = make_settings(
        changes={"training": {"epochs": given.epochs}, "network": {"ensemble": given.ensemble}}
    )
    with tempfile.TemporaryDirectory() as aside:
        file = given.file or Path(aside) / "screen.h5ad"
        if not file.exists():
            write_screen(file, given.cells, given.genes, given.perturbations)
        listener = Listener(given.least)
        began = time.perf_counter()
        workflow.start_run(file, Path(aside) / "run", settings, listener)
        found = {"seconds": round(time.perf_counter() - began, 1), "stages": listener.found()}
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['seconds']} s in all")
    for words, values in found["stages"].items():
        print(f"{values['silent_s']:8.2f} s ({values['processor_s']:.2f} of work)  {words}")
        print(f"{'':10}{values['after']} -> {values['until']}; {', '.join(values['where'])}")


if __name__ == "__main__":
    main()
