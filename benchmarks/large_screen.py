"""A genome-wide run on the screen: first paint of every page, main actions, and the memory of the server.

    python benchmarks/large_screen.py --json     # 1,546 panel genes, 622 perturbations, 130,000 cells
    python benchmarks/large_screen.py --folder F # keeps the runs there, and takes them the next time

Three runs of random numbers (counts on disk, W, effects, an untrained model) with 8,000 measured genes. One
headless Chromium, two sessions. Pairs are seconds by the clock and of the server's processor, which hang less
on what else the machine does. first_s: from a click on the name of a page to its finished content, cold (the
first time for this server) and again; action_s: from a press on a tab, or the choice of another option, until
the page has settled; click_s: of the network page, from a click on a gene until its evidence stands in the
card. cells_read_mb: what the server had read when the page Network stood there for the first time, beyond
what it reads for a small run; memory_gb: resident memory of the server after each page of the first run, and
after both sessions have been through all pages of a run, one entry for each run and session; most_gb: the
largest it ever was (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from scipy import sparse  # noqa: E402

from benchmarks.network_view import CHROMIUM, FLAGS, Server, click_ms, rest  # noqa: E402
from tests.fake_run import make_fake_run  # noqa: E402

PAGES = ("Home", "Runs", "Network", "Response", "What if", "Benchmark", "Experiments", "Train", "Data")
RUNS = ("large", "large 2", "large 3")
SHARE = 0.07
"""Of the entries that are not zero: more stored values than are held in memory."""
SMALL = "small"
ACTIONS = 4
"""Of a kind on a page, at most."""
QUIET = 1.5
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'


def write_run(path: Path, perturbed: int, extended: int, genes: int, cells: int) -> None:
    """A run folder of that size, without any training."""
    import torch

    from gpovae_core.data.store import CountsWriter
    from gpovae_core.model.module import GpoVae
    from gpovae_core.training.fit import save_weights

    run = make_fake_run(
        path, perturbed, extended, genes, seed=3, simulated=False, cells_per_perturbation=3, edges_per_gene=12
    )
    effects = run.effects()
    for name in list(effects.layers):
        effects.layers[name] = np.asarray(effects.layers[name], dtype=np.float32)  # as a scored run has it
    run.write_effects(effects)
    model = GpoVae(run.settings().model, len(run.panel()), genes)
    model.guide.mask_logits.data.copy_(torch.as_tensor(run.mask_logits()))
    save_weights(model, run.path / "model.safetensors")
    prepared = run.cells()
    rng = np.random.default_rng(0)
    wide = max(1, round(SHARE * genes))
    writer = CountsWriter(path / "counts.part", np.full(cells, wide), genes)
    for start in range(0, cells, 5000):
        rows = np.arange(start, min(start + 5000, cells))
        columns = np.sort(rng.integers(0, genes - wide, (len(rows), wide)), axis=1) + np.arange(wide)
        counts = rng.geometric(0.5, columns.size).astype(np.float32)
        places = np.arange(len(rows) + 1) * wide
        writer.put(rows, sparse.csr_matrix((counts, columns.ravel(), places), (len(rows), genes)))
    obs = prepared.cells.obs.iloc[np.arange(cells) % prepared.cells.n_obs].copy()
    obs.index = [f"cell{i:07d}" for i in range(cells)]
    stored = writer.opened()
    _rewrite(run, prepared, obs, stored)


def _rewrite(run: Any, prepared: Any, obs: Any, stored: Any) -> None:
    """The same run with these counts for cells."""
    from dataclasses import replace

    from anndata import AnnData

    report = prepared.report.model_copy(update={"cells_kept": len(obs), "cells_read": len(obs)})
    cells = AnnData(obs=obs, var=prepared.cells.var)
    run.write_cells(replace(prepared, cells=cells, stored=stored, report=report))


def timed(page: Any, own: psutil.Process, act: Any) -> list[float]:
    """Seconds from an act until the page has not worked for QUIET seconds, less these; and what the server
    worked.
    """
    worked = sum(own.cpu_times()[:2])
    began = last = time.perf_counter()
    act()
    while (now := time.perf_counter()) - last < QUIET:
        if not page.locator(SETTLED).count():
            last = now
        page.wait_for_timeout(30)
    return [round(last - began, 2), round(sum(own.cpu_times()[:2]) - worked, 2)]


def open_page(page: Any, own: psutil.Process, name: str) -> list[float]:
    def act() -> None:
        page.get_by_role("link", name=name, exact=True).click()
        if name == "Network":
            page.wait_for_selector(".explorer[data-ready]", timeout=600_000)

    return timed(page, own, act)


def actions(page: Any, own: psutil.Process) -> dict[str, list[float]]:
    """Words of what was pressed -> seconds: every tab, and another option wherever one can be chosen."""
    found: dict[str, list[float]] = {}
    for place in range(min(ACTIONS, page.locator('[data-testid="stTab"]').count())):
        tab = page.locator('[data-testid="stTab"]').nth(place)
        if tab.is_visible():
            words = tab.inner_text()
            found[f"tab {words}"] = timed(page, own, tab.click)
    for kind in ("stSelectbox", "stMultiSelect"):
        for place in range(min(ACTIONS, page.locator(f'[data-testid="{kind}"]').count())):
            box = page.locator(f'[data-testid="{kind}"]').nth(place)
            if not box.is_visible() or not box.locator("input").is_enabled():
                continue
            words = (box.locator("label").inner_text() or kind).splitlines()[0]
            if words == "Open run":
                continue
            box.locator("input").click()
            options = page.get_by_role("option")
            page.wait_for_timeout(300)
            if options.count() > 1:
                found[f"choice {words}"] = timed(page, own, options.nth(1).click)
            page.keyboard.press("Escape")
    return found


def errors_on(page: Any, name: str) -> list[str]:
    return [f"{name}: {text[:300]}" for text in page.locator('[data-testid="stException"]').all_inner_texts()]


def resident_gb(own: psutil.Process) -> float:
    return round(own.memory_info().rss / 1e9, 2)


def most_gb(own: psutil.Process) -> float:
    """The largest resident memory of a process so far, as Linux keeps it."""
    lines = Path(f"/proc/{own.pid}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return round(kib * 1024 / 1e9, 2)


def measure(folder: Path, clicks: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    answer: dict[str, Any] = {"pages": {}, "errors": []}
    with Server(folder) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        own = psutil.Process(server.process.pid)
        sessions = [browser.new_page(viewport={"width": 1440, "height": 900}) for _ in range(2)]
        for session in sessions:
            session.set_default_timeout(600_000)
        read = {}
        for run in (SMALL, RUNS[0]):  # the small one first: modules are imported once
            sessions[0].goto(f"{server.address}/?run={run}")
            rest(sessions[0])
            before = own.io_counters().read_chars
            open_page(sessions[0], own, "Network")
            read[run] = (own.io_counters().read_chars - before) / 1e6
        answer["cells_read_mb"] = round(read[RUNS[0]] - read[SMALL], 1)
        answer["click_s"] = [round(ms / 1e3, 2) for ms in click_ms(sessions[0], clicks)]
        for name in PAGES:
            seen = answer["pages"][name] = {"first_s": [open_page(sessions[0], own, name)]}
            seen["action_s"] = actions(sessions[0], own)
            seen["memory_gb"] = resident_gb(own)
            print(f"{name}: {seen}", file=sys.stderr, flush=True)
            answer["errors"] += errors_on(sessions[0], name)
        for name in PAGES:
            answer["pages"][name]["first_s"].append(open_page(sessions[0], own, name))
        answer["of_one_gb"], answer["most_of_one_gb"] = resident_gb(own), most_gb(own)
        answer["memory_gb"] = {}
        for place, session in enumerate(sessions, start=1):
            for run in RUNS:
                session.goto(f"{server.address}/?run={run}")
                rest(session)
                for name in PAGES:
                    open_page(session, own, name)
                    answer["errors"] += errors_on(session, name)
                answer["memory_gb"][f"{run}, session {place}"] = resident_gb(own)
                print(f"{run}, session {place}: {resident_gb(own)} GB", file=sys.stderr, flush=True)
        answer["most_gb"] = most_gb(own)
        browser.close()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbed", type=int, default=622)
    parser.add_argument("--extended", type=int, default=924)
    parser.add_argument("--genes", type=int, default=8000)
    parser.add_argument("--cells", type=int, default=130_000)
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the runs are made and kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as aside:
        folder = given.folder or Path(aside) / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / RUNS[0]).exists():
            make_fake_run(folder / SMALL, 12, 20, 60, simulated=False)
            write_run(folder / RUNS[0], given.perturbed, given.extended, given.genes, given.cells)
            for name in RUNS[1:]:
                (folder / name).mkdir()
                for file in (folder / RUNS[0]).iterdir():
                    if file.is_file():
                        os.link(file, folder / name / file.name)
        found = measure(folder, given.clicks)
    print(json.dumps(found) if given.json else json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
