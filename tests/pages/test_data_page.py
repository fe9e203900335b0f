"""The page Data over good files and broken ones: never a traceback, always the words that help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from anndata import AnnData

from gpovae_core.errors import DataError
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder
from tests.app_words import Opener, words
from tests.data.small import PERTURBED, small_cells
from tests.data.test_guides import guide_umis
from tests.pages.broken_files import BROKEN

pytestmark = pytest.mark.filterwarnings("ignore")


OF_THE_TERMINAL = re.compile(r"(?<![-\w])--[a-z]|(?<!['\w])(label_column|control_label|counts_layer)\b")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(folder))
    return folder


def test_there_are_at_least_thirty_broken_files() -> None:
    assert len(BROKEN) >= 30


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_said_in_words(open_app: Opener, data: Path, name: str) -> None:
    make, expected = BROKEN[name]
    asked = make(data)
    app = open_app("data", data=asked)
    assert not app.exception
    shown = "\n".join(str(error.value) for error in app.error).replace("\\", "")
    assert expected in shown, shown
    assert not OF_THE_TERMINAL.search(shown), shown
    assert "Traceback" not in words(app)
    app = app.switch_page("pages/train.py").run()
    assert not app.exception
    assert not [button for button in app.button if button.label == "Start training"], (
        "nothing can be started on it"
    )


def test_a_good_file_is_reported_and_every_part_opens(open_app: Opener, data: Path) -> None:
    small_cells().write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    assert "This file can be used" in words(app)
    for part in ("Cells", "Quality", "Knock-down", "Gene panel", "Left out"):
        app.session_state["data_part"] = part
        assert not app.run().exception, part
    app.session_state["data_part"] = "Knock-down"
    table = next(frame.value for frame in app.run().dataframe if "Verdict" in frame.value)
    assert set(table["Verdict"]) == {"knocked down"}
    assert (table["Left"] < 30).all()


@pytest.mark.parametrize("before", [None, "In the data folder"])
def test_an_empty_folder_opens_on_what_brings_cells_into_it(
    open_app: Opener, data: Path, before: str | None
) -> None:
    app = open_app("data")
    if before is not None:  # as the folder was emptied meanwhile
        app.session_state["data_from"] = before
        app.run()
    assert not app.exception
    assert [tab.label for tab in app.tabs] == ["Upload", "Public data sets"]
    assert str(data) in words(app).replace("\\", "")


def test_the_cells_of_the_demo_are_taken_and_can_be_trained_on(
    open_app: Opener, data: Path, tmp_path: Path
) -> None:
    app = open_app("data", folder=tmp_path / "runs")
    app = app.button(key="data_demo").click().run()
    assert not app.exception
    assert [file.name for file in data.iterdir()] == ["papalexi2021_demo.h5ad"]
    shown = words(app).replace("\\", "")
    assert "This file can be used" in shown
    assert "**Size factor**: column 'size_factor' of obs" in shown
    assert "data_demo" not in {button.key for button in app.button}
    said = next(
        fact.value for fact in open_app("data", folder=tmp_path / "runs").caption if "THP" in fact.value
    )
    report = RunFolder(shipped.DEMOS[shipped.REAL_DEMO]).report()
    for part in (f"{report.cells_kept:,} THP", f"{len(report.perturbations)} knock-outs", "585 genes"):
        assert part in said
    assert report.genes_measured == 585
    app = app.switch_page("pages/train.py").run()
    assert not app.exception
    assert "Start training" in {button.label for button in app.button}


def test_the_design_is_shown_and_changed_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.obs["lane"] = [f"<b>{i % 2}</b>" for i in range(cells.n_obs)]
    cells.obs["rack"] = [f"rack {i % 3}" for i in range(cells.n_obs)]
    cells.write_h5ad(data / "cells.h5ad")

    def shown() -> str:
        return words(app).replace("\\", "")

    def choose(label: str, value: str) -> None:
        next(box for box in app.selectbox if box.label.removesuffix(" •") == label).set_value(value).run()

    app = open_app("data", data="cells.h5ad")
    assert "**Batch**: column 'lane' of obs" in shown()
    assert "**Donor**: none" in shown()
    assert "**Direction**: knock-down" in shown()
    choose("Batch", "rack")
    assert "**Batch**: column 'rack' of obs" in shown()
    choose("Batch", "none")
    assert "**Batch**: none" in shown()
    choose("What was done to the genes", "activation")
    assert "**Direction**: activation, as told; the targets' own expression says knock-down." in shown()
    choose("What was done to the genes", "mixed")
    assert "**Direction**: mixed, as told: each perturbation goes by its target's own expression" in shown()
    choose("What was done to the genes", "none")
    assert "**Direction**: not read, as told; a knock-out that removes 90 % of the function" in shown()
    choose("Guide", "perturbation")
    assert not app.exception
    assert "cannot be used as the guide" in "\n".join(str(error.value) for error in app.error)


def test_what_states_the_direction_is_said_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.obs["perturbation_type"] = "CRISPRa"
    cells = cells[:, ~cells.var_names.isin(set(cells.obs["perturbation"].astype(str)))].copy()
    cells.write_h5ad(data / "stated.h5ad")
    del cells.obs["perturbation_type"]
    cells.write_h5ad(data / "silent.h5ad")
    shown = words(open_app("data", data="stated.h5ad")).replace("\\", "")
    assert "**Direction**: activation, stated in obs['perturbation_type']." in shown
    shown = words(open_app("data", data="silent.h5ad")).replace("\\", "")
    assert "**Direction**: not known: the file does not state it" in shown
    assert "so a knock-out that removes 90 % of the function is assumed" in shown


def test_columns_that_no_gene_has_are_left_out_or_kept_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.var["feature_types"] = ["Antibody Capture"] * 2 + ["Gene Expression"] * (cells.n_vars - 2)
    cells.write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    assert "Left out of the genes" in words(app)
    (choice,) = [box for box in app.selectbox if box.label.startswith("Columns that no gene has")]
    app = choice.set_value("keep").run()
    assert not app.exception
    assert "Kept as genes" in words(app)


def test_perturbations_that_are_left_out_are_named_below_their_number(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    labels = cells.obs["perturbation"].astype(str)
    few = labels.index[labels == PERTURBED[0]][:3]
    labels[few] = "GENE25"
    cells.obs["perturbation"] = labels
    cells.write_h5ad(data / "cells.h5ad")
    shown = words(open_app("data", data="cells.h5ad"))
    assert "of 4; without GENE25" in shown


def test_labels_that_were_not_used_can_be_taken_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.obsm["guides"] = guide_umis(cells)
    cells.write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    assert "Other labels" in words(app)
    (take,) = [button for button in app.button if button.label.startswith("Take guide calls")]
    app = take.click().run()
    assert not app.exception
    assert "Guide calls" in words(app)


def test_what_has_to_be_chosen_is_asked_and_answered_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.obs["target"] = cells.obs["perturbation"].astype(str).replace({"GENE03": "GENE11"})
    cells.write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    assert "Your choice" in words(app)
    assert "several columns name genes and differ" in words(app)
    box = next(box for box in app.selectbox if box.label == "Label column")
    assert {option.partition(" ")[0] for option in box.options} >= {"perturbation", "target"}
    app = box.set_value("perturbation").run()
    assert not app.error
    assert "Your choice" not in words(app)
    assert "as chosen" in words(app)


def test_a_control_is_chosen_on_the_page(open_app: Opener, data: Path) -> None:
    cells = small_cells()
    cells.obs["perturbation"] = cells.obs["perturbation"].astype(str).replace({"non-targeting": "LacZ<b>"})
    cells.write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    assert app.error
    box = next(box for box in app.selectbox if box.label == "Control label")
    app = box.set_value("LacZ<b>").run()
    assert not app.error
    assert not app.exception


def test_settings_change_the_report_at_once(open_app: Opener, data: Path) -> None:
    small_cells().write_h5ad(data / "cells.h5ad")
    app = open_app("data", data="cells.h5ad")
    box = next(box for box in app.number_input if box.label == "Least cells per perturbation")
    app = box.set_value(61).run()
    assert "cannot be used as it is" in "\n".join(str(error.value) for error in app.error)
    box = next(box for box in app.number_input if box.label.startswith("Least cells per perturbation"))
    assert box.label.endswith("•"), "a changed setting is marked"
    app = box.set_value(40).run()
    assert not app.error


def test_nothing_outside_the_folder_is_listed(data: Path) -> None:
    from gpovae_core.data.folder import list_files

    for name in ("a link out of the folder", "a linked folder", "a name with a newline"):
        for path in data.iterdir():
            path.unlink()
        BROKEN[name][0](data)
        assert list_files(data) == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("cells.h5ad", "cells.h5ad"),
        ("../../etc/passwd.h5ad", "passwd.h5ad"),
        ("C:\\data\\my cells.h5ad", "my_cells.h5ad"),
        (".hidden.h5ad", "hidden.h5ad"),
        ("<img src=x>.h5ad", "img_src_x.h5ad"),
        ("a\nb.h5ad", "a_b.h5ad"),
        ("基因.h5ad", "cells.h5ad"),
    ],
)
def test_an_upload_gets_a_safe_name_and_overwrites_nothing(data: Path, sent: str, kept: str) -> None:
    import io

    from gpovae_core.data.folder import save_upload

    assert save_upload(data, sent, io.BytesIO(b"one")).name == kept
    assert save_upload(data, sent, io.BytesIO(b"one")).name == kept
    other = save_upload(data, sent, io.BytesIO(b"two"))
    assert other.name == kept.replace(".h5ad", "_2.h5ad")
    assert (data / kept).read_bytes() == b"one"
    assert sorted(p.name for p in data.iterdir()) == sorted([kept, other.name])
    with pytest.raises(DataError, match="cannot be uploaded"):
        save_upload(data, "cells.pkl", io.BytesIO(b"x"))


def test_guides_of_another_file_and_their_targets_are_chosen_on_the_page(
    open_app: Opener, data: Path
) -> None:
    cells = small_cells()
    umis = guide_umis(cells)
    targets = [name.rsplit("_", 1)[0] for name in umis]
    umis.columns = [f"guide_{i}" for i in range(umis.shape[1])]
    AnnData(cells.X, obs=cells.obs[[]].copy(), var=cells.var).write_h5ad(data / "cells.h5ad")
    umis.to_csv(data / "umis.csv")
    (data / "library.csv").write_text(
        "guide,target\n" + "".join(f"guide_{i},{target}\n" for i, target in enumerate(targets))
    )
    app = open_app("data", data="cells.h5ad")
    assert "No column of obs is recognised" in words(app)

    def choose(label: str, name: str) -> None:
        box = next(box for box in app.selectbox if box.label == label)
        box.set_value(next(option for option in box.options if option.endswith(name))).run()
        assert not app.exception

    choose("Guide UMIs in another file", "umis.csv")
    assert "Nothing says which genes" in words(app)
    choose("Table of what guides target", "library.csv")
    assert "This file can be used" in words(app)
    app = app.switch_page("pages/train.py").run()
    assert not app.exception
    assert [button for button in app.button if button.label == "Start training"]


def test_a_file_of_guides_outside_the_data_folder_is_not_opened(
    open_app: Opener, data: Path, tmp_path: Path
) -> None:
    small_cells().write_h5ad(data / "cells.h5ad")
    (tmp_path / "secret.csv").write_text("a,b\n")
    app = open_app("data", data="cells.h5ad")
    draft = {
        "preset": "evidence",
        "published": None,
        "changes": {"data": {"guides": str(tmp_path / "secret.csv")}},
    }
    app.session_state["gpovae_state"]["draft"] = draft
    app.run()
    assert not app.exception
    shown = "\n".join(str(error.value) for error in app.error).replace("\\", "")
    assert "leads out of the data folder" in shown, shown
