"""``ctrecon view --napari`` hands a volume to napari as its manifest says; without napari it says how to get it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from stacks import npy_stack

import ctrecon as ct
from ctrecon.cli.main import cli


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    settings = ct.Settings(method="fbp", delta="12%")
    ct.reconstruct_stack(npy_stack(folder, rows=3), folder / "v.tif", settings, preview=False)
    return folder / "v.tif"


def test_napari_gets_the_values_where_they_stand(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    viewer = SimpleNamespace(add_image=lambda values, **more: seen.update(values=values, **more))
    fake = SimpleNamespace(Viewer=lambda title: viewer, run=lambda: seen.update(ran=True))
    monkeypatch.setitem(sys.modules, "napari", fake)
    done = CliRunner().invoke(cli, ["view", "--napari", str(volume)])
    assert done.exit_code == 0, done.output
    image = np.load(volume.with_name("v.evidence") / "slice-0002.npy")
    np.testing.assert_array_equal(seen["values"][1], image)  # type: ignore[index]
    assert seen["scale"][0] == 2.0  # type: ignore[index]
    assert seen["translate"][0] == -2.0  # type: ignore[index]
    assert seen["ran"]


def test_without_napari_one_line_says_how_to_get_it(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "napari", None)
    done = CliRunner().invoke(cli, ["view", "--napari", str(volume)])
    assert done.exit_code == 2
    assert "pip install 'napari[all]'" in done.output
    done = CliRunner().invoke(cli, ["view", "--napari", str(volume.parent)])
    assert done.exit_code == 2
    assert "is no volume with its evidence" in done.output
