"""What a folder is listed as: kinds by names, links not followed, numbers that stay, thousands quickly."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from desk_cases import NASTY

from ctrecon.errors import InputError
from ctrecon.workbench.desk import index as index_module
from ctrecon.workbench.desk.index import Index, home_of

KINDS = {
    "bad.npz": "scan", "bare.npy": "image", "broken.npy": "image", "head.npy": "image", "huge.npy": "image",
    "nan.npy": "image", "photo.png": "picture", "stranger.html": "report", "v.zarr": "volume", NASTY: "image",
    "more/tv.npy": "image", "scans/stack.npy": "scan",
}  # fmt: skip


def listed(index: Index) -> dict[str, str]:
    return {f"{one.group}/{one.path.name}".strip("/"): one.why or one.kind for one in index.entries()}


def test_each_thing_is_listed_once_by_what_it_is(desk_folder: Path) -> None:
    index = Index(desk_folder)
    found = listed(index)
    assert {name: kind for name, kind in found.items() if name in KINDS} == KINDS
    assert found["link.npy"].startswith("is a link, which is not followed")
    assert found["pipe.npy"] == "is no regular file"
    assert found["notes.txt"] == "no kind of file that the desk shows"
    assert set(found) == {*KINDS, "link.npy", "pipe.npy", "notes.txt"}
    assert index.evidence >= 5


def test_nothing_but_heads_is_read_for_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand files: none of them is opened, whatever is in them."""
    for k in range(2000):
        (tmp_path / f"u{k:04}.npy").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", lambda *a, **k: pytest.fail("a file was opened"))
    assert len(Index(tmp_path).entries()) == 2000


def test_too_many_are_counted_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(7):
        (tmp_path / f"u{k}.npy").touch()
    monkeypatch.setattr(index_module, "MOST_ENTRIES", 5)
    index = Index(tmp_path)
    assert len(index.entries()) == 5
    assert index.left_out >= 1


def test_numbers_stay_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    for name in ("b.npy", "c.npy"):
        np.save(tmp_path / name, np.zeros((2, 2)))
    index = Index(tmp_path)
    b, c = (index.number_of(tmp_path / name) for name in ("b.npy", "c.npy"))
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    (tmp_path / "c.npy").unlink()
    with pytest.raises(InputError, match="no longer there"):
        index.entry(c)
    index.look_again()
    assert index.number_of(tmp_path / "b.npy") == b
    with pytest.raises(InputError, match="nothing that can be shown has the number"):
        index.entry(c)
    with pytest.raises(InputError, match="has the number 77"):
        index.entry(77)


def test_a_link_that_is_put_in_the_place_later_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (tmp_path / "secret.npy", folder / "u.npy"):
        np.save(place, np.zeros((2, 2)))
    index = Index(folder)
    number = index.number_of(folder / "u.npy")
    (folder / "u.npy").unlink()
    (folder / "u.npy").symlink_to(tmp_path / "secret.npy")
    with pytest.raises(InputError, match="no longer there"):
        index.entry(number)


def test_a_place_is_a_folder_or_a_thing_in_one(desk_folder: Path, tmp_path: Path) -> None:
    assert home_of(desk_folder) == (desk_folder, None)
    for name in ("head.npy", "v.zarr", "head.certificate.json"):
        assert home_of(desk_folder / name) == (desk_folder, desk_folder / name)
    index = Index(desk_folder)
    assert index.number_of(desk_folder / "head.certificate.json") == index.number_of(desk_folder / "head.npy")
    with pytest.raises(InputError, match="is a link"):
        index.number_of(desk_folder / "link.npy")
    with pytest.raises(InputError, match="no kind of file that the desk shows"):
        index.number_of(desk_folder / "notes.txt")
    with pytest.raises(InputError, match="is no folder"):
        Index(tmp_path / "nowhere")


def test_folders_of_dicom_and_of_projections_are_one_thing(axes_series: dict[str, Path], tmp_path: Path) -> None:
    series = shutil.copytree(axes_series["HFS"], tmp_path / "series")
    raw = axes_series["HFS"].with_name("raw-HFS")
    shutil.copytree(raw, tmp_path / "raw")
    assert listed(Index(tmp_path)) == {"series": "series", "raw": "scan"}
    assert home_of(series) == (tmp_path, series)
