"""What benchmarks/gpu.py needs on a machine without network, as wheels.

    python benchmarks/gpu_wheels.py                       # lists it, NAME==VERSION a line
    python benchmarks/gpu_wheels.py --folder wheels       # fetches it with pip, for --python and --platform
    pip install --no-index --no-deps wheels/*.whl         # there; then: python benchmarks/gpu.py

The other machine has THERE and what these need; --there names more that it has (`pip list` there tells), and
each saves its wheels. Versions are those installed beside this script: run it from the project's environment.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
THERE = ("torch", "numpy", "scipy", "lightning", "networkx")
TESTS = ("pytest",)
ONLY_FOR_SCREENS = ("streamlit", "plotly", "pyvis", "matplotlib", "optuna", "pyarrow")
"""Of requirements.txt: what dashboard, figures, sweeps and tables of effects need, and no training."""
PLATFORMS = tuple(
    f"manylinux{name}_x86_64"
    for name in ("_2_34", "_2_31", "_2_28", "_2_27", "_2_24", "_2_17", "2014", "_2_12", "2010", "_2_5", "1")
)


def required() -> list[str]:
    """Names in requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line).name for line in lines if line.strip() and not line.startswith("#")]


def with_needs(names: list[str], without: set[str], python: str) -> dict[str, str]:
    """Name -> installed version of packages and of what these need in turn, less `without`."""
    environment = {"extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    found: dict[str, str] = {}
    open_names = [str(canonicalize_name(name)) for name in names]
    while open_names:
        name = open_names.pop()
        if name in found or name in without:
            continue
        package = metadata.distribution(name)
        found[name] = package.version
        for line in package.requires or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate(environment):
                open_names.append(str(canonicalize_name(need.name)))
    return found


def wheels(there: list[str], python: str) -> dict[str, str]:
    """Name -> version of what has to travel."""
    has = set(with_needs([*THERE, *there], set(), python))
    asked = [name for name in [*required(), *TESTS] if name not in ONLY_FOR_SCREENS]
    return dict(sorted(with_needs(asked, has, python).items()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="fetch the wheels into it")
    parser.add_argument("--there", nargs="*", default=[], help="further packages that the other machine has")
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--platform", nargs="+", default=list(PLATFORMS))
    given = parser.parse_args()
    pinned = [f"{name}=={version}" for name, version in wheels(given.there, given.python).items()]
    print("\n".join(pinned))
    if given.folder is None:
        return
    platforms = [part for name in given.platform for part in ("--platform", name)]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"),
            *("--python-version", given.python, "--implementation", "cp", *platforms),
            *("-d", str(given.folder), *pinned),
        ],
        check=True,
    )
    size = sum(file.stat().st_size for file in given.folder.glob("*.whl")) / 2**20
    print(f"# {len(pinned)} wheels in '{given.folder}', {size:.0f} MiB", file=sys.stderr)


if __name__ == "__main__":
    main()
