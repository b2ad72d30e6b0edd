"""The report of a volume, of a cone and of a stack: three planes that move, and where it is certified."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import leaving, open_page, requested, until
from click.testing import CliRunner
from report_cases import HOSTILE, Page
from stacks import npy_stack
from volumes import noisy

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, OutputError
from ctrecon.measurement.patient_position import AXES, axes_of
from ctrecon.outputs.report.content import gather
from ctrecon.outputs.report.page import render
from ctrecon.outputs.report.reduced import MOST_VOXELS, factors_for, reduce_volume
from ctrecon.outputs.report.stack_content import gather_stack
from ctrecon.outputs.report.volume_page import marks_of, render_stack
from ctrecon.outputs.stack.manifest import read_manifest
from ctrecon.outputs.stack.ome_zarr import attributes
from ctrecon.workbench.stack.reconstruct import Stack

BAD_ROW = 6


@pytest.fixture(scope="module")
def cone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certified volume of a cone beam, saved, with its page."""
    folder = tmp_path_factory.mktemp("cone")
    scan, noise = noisy()
    result = ct.reconstruct(replace(scan, notes=(HOSTILE,)), delta=1.35 * noise, method="cgls", iterations=9)
    assert result.certified
    result.save(folder / "u.npy", preview=False)
    result.report(folder / "u.html")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine slices, one of which no image explains."""
    folder = tmp_path_factory.mktemp("stack")
    path = npy_stack(folder, rows=9)
    values = np.load(path)
    values[:, BAD_ROW] += np.random.default_rng(3).normal(0, 0.2, values[:, BAD_ROW].shape)
    np.save(path, values)
    done = CliRunner().invoke(cli, [
        "reconstruct", str(path), "-o", str(folder / "v.zarr"), "--method", "fbp", "--delta", "12%", "--no-preview",
        "--report", str(folder / "v.html"),
    ])  # fmt: skip
    assert done.exit_code == 3, done.output
    assert "report: " in done.output
    return folder


def page_of(html: str) -> Page:
    page = Page(html)
    assert not page.faults, page.faults
    return page


def volume_of(page: Page) -> dict[str, Any]:
    return json.loads(page.scripts[1])


def decoded(volume: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(volume["values"]), "<u2").reshape(volume["shape"])
    return volume["low"] + (volume["high"] - volume["low"]) * values / 65535


def test_the_page_of_a_cone_shows_what_is_proved_and_the_volume_itself(cone: Path) -> None:
    page = page_of((cone / "u.html").read_text())
    for words in ("Certified: this image explains", "Detector rows", "18 of 4.8 mm", "24 of 6 mm"):
        assert words in page.words, words
    volume, image = volume_of(page), np.load(cone / "u.npy")
    assert volume["shape"] == list(image.shape)
    shown = decoded(volume)
    np.testing.assert_allclose(shown, 1000 * (image - 0.02) / 0.02, atol=0.02)
    assert volume["first"] == pytest.approx({"z": -39.8, "y": 44.2, "x": -40.7})
    assert volume["step"] == pytest.approx({"z": 4.8, "y": -4.4, "x": 4.6})
    figures = json.loads(page.scripts[0])
    assert set(figures) == {"residual", "detector", "descent", "energy"}
    assert "<script>window.pwned" not in (cone / "u.html").read_text()
    assert "<script>window.pwned=1</script>" in page.text


def test_a_changed_voxel_of_a_cone_is_refused_and_nothing_it_claimed_is_repeated(cone: Path, tmp_path: Path) -> None:
    for path in cone.glob("u.*"):
        shutil.copy(path, tmp_path)
    image = np.load(tmp_path / "u.npy")
    image[3, 4, 5] += 1e-6
    np.save(tmp_path / "u.npy", image)
    done = CliRunner().invoke(cli, ["report", str(tmp_path / "u.npy"), "-o", str(tmp_path / "r.html")])
    assert done.exit_code == 1, done.output
    page = page_of((tmp_path / "r.html").read_text())
    assert "Refused: the certificate does not hold" in page.words
    assert "misses the stored data by at most" not in page.words
    assert gather(cone / "u.npy").status == "certified"


def test_the_page_of_a_stack_says_which_slices_are_not_certified(stack: Path) -> None:
    page = page_of((stack / "v.html").read_text())
    for words in ("Not certified: 1 of 9 slices", f"Slice {BAD_ROW + 1} at z =", "8 of 9 slices are certified"):
        assert words in page.words, words
    volume = volume_of(page)
    bad = [one["number"] for one in volume["slices"] if one["status"] != "certified"]
    assert bad == [BAD_ROW + 1]
    worst = volume["slices"][BAD_ROW]
    assert worst["residual"] > worst["delta"]
    manifest = read_manifest("m", (stack / "v.zarr" / "evidence" / "manifest.json").read_bytes())
    assert volume["first"]["z"] == manifest.first_mm[0]
    assert volume["first"]["y"] == -manifest.first_mm[1]


def test_a_stack_that_was_changed_is_refused(stack: Path, tmp_path: Path) -> None:
    shutil.copytree(stack / "v.zarr", tmp_path / "v.zarr")
    data = tmp_path / "v.zarr" / "evidence" / "slice-0002.data.npy"
    values = np.load(data)
    values[0, 0] += 1e-3
    np.save(data, values)
    content = gather_stack(tmp_path / "v.zarr")
    assert [one.number for one in content.slices if one.status == "refused"] == [2]
    assert "Refused: the stack is not what" in page_of(render_stack(content)).words
    done = CliRunner().invoke(cli, ["report", str(tmp_path / "v.zarr")])
    assert done.exit_code == 1, done.output
    assert (tmp_path / "v.report.html").is_file()
    (tmp_path / "v.zarr" / "evidence" / "more.npy").write_bytes(b"")
    assert "the evidence holds" in page_of(render_stack(gather_stack(tmp_path / "v.zarr"))).words
    with pytest.raises(InputError, match="is no stack"):
        gather_stack(stack)


def test_a_stack_whose_certificates_say_nothing_is_not_praised(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [
        "reconstruct", str(npy_stack(tmp_path, rows=2, cells=16, views=8)), "-o", str(tmp_path / "v.zarr"), "--method",
        "fbp", "--delta", "150%", "--no-preview", "--report", str(tmp_path / "v.html"),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    page = page_of((tmp_path / "v.html").read_text())
    assert "Certified: each of" not in page.words
    assert "True, but it says nothing" in page.words
    assert "certificates say nothing" in page.words
    assert {"class": "verdict not-certified", "aria-labelledby": "verdict-head"} in page.all("section")


def test_a_stack_without_a_certified_slice_has_a_page_that_says_so(stack: Path, tmp_path: Path) -> None:
    shutil.copytree(stack / "v.zarr", tmp_path / "v.zarr")
    place = tmp_path / "v.zarr" / "evidence" / "manifest.json"
    manifest = read_manifest("m", place.read_bytes())
    manifest = replace(manifest, slices=tuple({**one, "status": "infeasible"} for one in manifest.slices))
    place.write_bytes(manifest.to_bytes())
    (tmp_path / "v.zarr" / ".zattrs").write_text(json.dumps(attributes(manifest)))
    page = page_of(render_stack(gather_stack(tmp_path / "v.zarr")))
    assert "Not certified: 9 of 9 slices" in page.words
    assert "Nothing is proved about any slice" in page.words
    made = Stack(manifest=None, records=(), planned=9, interrupted=True)
    with pytest.raises(OutputError, match=r"must end in \.html"):
        made.report(tmp_path / "v.txt")
    with pytest.raises(InputError, match="run it again, and it goes on"):
        made.report(tmp_path / "v.html")


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 30, 20), (1000, 512, 512), (40, 2048, 2048)])
def test_a_page_holds_so_many_voxels_whatever_the_volume_has(shape: tuple[int, int, int]) -> None:
    factors = factors_for(shape)
    left = [-(-side // factor) for side, factor in zip(shape, factors, strict=True)]
    assert np.prod(left) <= MOST_VOXELS
    assert np.prod(left) > 0.4 * MOST_VOXELS or factors == (1, 1, 1)


def test_reduced_voxels_are_means_of_what_they_stand_for() -> None:
    volume = np.random.default_rng(0).random((5, 7, 9)).astype(np.float32)
    small = reduce_volume(volume, volume.shape, most=20)
    assert small.values.size <= 20
    dz, dy, dx = small.factors
    for z, y, x in np.ndindex(small.values.shape):
        block = volume[z * dz : (z + 1) * dz, y * dy : (y + 1) * dy, x * dx : (x + 1) * dx]
        assert small.values[z, y, x] == pytest.approx(float(block.mean()), rel=1e-5)


def test_a_reduced_volume_says_so(cone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctrecon.outputs.report import volume_page

    monkeypatch.setattr(volume_page, "reduce_volume", lambda slices, shape: reduce_volume(slices, shape, most=1000))
    page = page_of(render(gather(cone / "u.npy")))
    assert "each voxel shown is the mean of" in page.words
    assert np.prod(volume_of(page)["shape"]) <= 1000
    assert "each voxel shown" not in page_of((cone / "u.html").read_text()).words


def plane(browser: Any, name: str) -> np.ndarray:
    """The greys of a plane, ``[down, across]``."""
    script = (
        f"const c = document.getElementById('plane-{name}');"
        "return [c.height, c.width, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]]"
    )
    high, wide, values = browser.execute_script(script)
    return np.array(values).reshape(high, wide, 4)[..., 0]


def slide(browser: Any, name: str, to: int) -> None:
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('input'))", f"slide-{name}", to,
    )  # fmt: skip


def test_sliders_clicks_and_windows_show_the_planes_of_the_volume(browser: Any, cone: Path, stack: Path) -> None:
    browser.get_log("browser"), browser.get_log("performance")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    open_page(browser, cone / "u.html")
    assert browser.get_log("browser") == []
    assert leaving(requested(browser), cone / "u.html") == []
    assert browser.execute_script("return window.pwned") is None
    image = np.load(cone / "u.npy")
    low, high = image.min(), image.max()

    def grey(values: np.ndarray) -> np.ndarray:
        return 255 * (values - low) / (high - low)

    press = "[...document.querySelectorAll('#presets button')].find(b => b.textContent === arguments[0]).click()"
    browser.execute_script(press, "Full range")
    for z, y, x in ((0, 3, 17), (11, 20, 2)):
        for name, index in (("z", z), ("y", y), ("x", x)):
            slide(browser, name, index)
        np.testing.assert_allclose(plane(browser, "z"), grey(image[z]), atol=1.5)
        np.testing.assert_allclose(plane(browser, "y"), grey(image[::-1, y]), atol=1.5)
        np.testing.assert_allclose(plane(browser, "x"), grey(image[::-1, ::-1, x]), atol=1.5)
    assert f"Slice 12 of {len(image)}, z = 13 mm" in browser.execute_script(
        "return document.getElementById('said-z').textContent"
    )
    # A click in the slice moves the two others there.
    browser.execute_script(
        "const c = document.getElementById('plane-z'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new MouseEvent('click', { clientX: b.left + 5.5 / 20 * b.width,"
        " clientY: b.top + 7.5 / 22 * b.height }))"
    )
    moved = "return ['x', 'y'].map(n => document.getElementById('slide-' + n).value)"
    assert browser.execute_script(moved) == ["5", "7"]
    np.testing.assert_allclose(plane(browser, "x"), grey(image[::-1, ::-1, 5]), atol=1.5)
    browser.execute_script(press, "Soft tissue")
    soft = np.clip((1000 * (image[11] - 0.02) / 0.02 + 160) / 400, 0, 1) * 255
    np.testing.assert_allclose(plane(browser, "z"), soft, atol=1.5)
    for width in (400, 1200):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        open_page(browser, stack / "v.html")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    said = "return document.getElementById('said-state').textContent"
    assert "Slice 5: certified" in browser.execute_script(said)
    browser.execute_script("document.querySelector('[data-slice]').click()")
    until(browser, f"{said}.includes('Slice {BAD_ROW + 1}: not certified')")
    strip = "const c = document.getElementById('strip'); return [...c.getContext('2d').getImageData(0, 0, 9, 1).data]"
    red, green = np.array(browser.execute_script(strip)).reshape(9, 4)[:, :2].T
    assert [k for k in range(9) if red[k] > green[k]] == [BAD_ROW]
    # (That canvases are read so often here is the test's own doing.)
    assert [entry for entry in browser.get_log("browser") if "getImageData" not in entry["message"]] == []


def test_the_patients_directions_stand_at_the_planes() -> None:
    # Left, right, bottom, top of each picture: the slice from the feet, the plane from the front, that from the left.
    seen = {plane: tuple(marks_of(plane, AXES).values()) for plane in "zyx"}
    assert seen == {"z": ("R", "L", "P", "A"), "y": ("R", "L", "F", "H"), "x": ("A", "P", "F", "H")}
    assert marks_of("z", axes_of("")) == marks_of("z", axes_of("none")) == {}
