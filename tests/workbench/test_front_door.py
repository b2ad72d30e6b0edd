"""``import ctrecon as ct``: the ten lines of the documentation, the names, and what they cost."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import io
import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import ctrecon as ct
from ctrecon.reconstruction.settings import Settings

SOURCE = Path(ct.__file__).read_text(encoding="utf-8")


def small_fan() -> ct.FanBeam:
    return ct.FanBeam(
        angles_rad=tuple(np.linspace(0, 2 * np.pi, 60, endpoint=False)), detector_count=64, detector_spacing_mm=1.8,
        source_to_axis_mm=110.0, source_to_detector_mm=300.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scan() -> ct.Scan:
    made = ct.simulate("head", geometry=small_fan(), grid=ct.Grid(rows=48, columns=48, pixel_mm=0.86), noise=0.02)
    return made.scan


@pytest.fixture(scope="module")
def result(scan: ct.Scan) -> ct.Reconstruction:
    return ct.reconstruct(scan, delta="auto")


def test_exactly_the_public_names_are_shown_and_all_exist() -> None:
    assert dir(ct) == sorted(ct.__all__)
    assert [name for name in dir(ct) if getattr(ct, name, None) is None] == []
    assert ct.__version__ == importlib.metadata.version("ctrecon-edn")
    with pytest.raises(AttributeError, match=r"no attribute 'recon'; it offers .*reconstruct"):
        _ = ct.recon  # type: ignore[attr-defined]


def test_what_types_are_read_from_is_what_is_loaded() -> None:
    """The imports for type checkers and the table for the interpreter are two lists of one thing."""
    block = next(node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    typed.pop("errors")
    assert typed == {name: f"ctrecon.{module}" for name, module in ct._FROM.items()}


def test_the_import_loads_nothing() -> None:
    check = "import sys, typing; before = set(sys.modules); import ctrecon; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"__future__"} == {"ctrecon"}


def test_every_public_thing_explains_itself() -> None:
    for name in set(dir(ct)) - {"__version__", "errors"}:
        thing = getattr(ct, name)
        assert inspect.getdoc(thing), name
    assert "delta" in inspect.signature(ct.reconstruct).parameters
    assert set(inspect.signature(Settings).parameters) < set(inspect.signature(ct.reconstruct).parameters)


def test_image_residual_verdict_and_files(scan: ct.Scan, result: ct.Reconstruction, tmp_path: Path) -> None:
    assert result.certified
    assert result.certificate is not None
    assert result.image.shape == (48, 48)
    assert result.image.dtype == np.float32
    assert result.residual <= result.delta.value
    assert result.seconds > 0
    assert result.history[-1].residual == pytest.approx(result.residual, rel=1e-4)
    written = result.save(tmp_path / "head.npy")
    assert np.array_equal(np.load(written["image"]), result.image)
    found = ct.verify(tmp_path / "head.certificate.json")
    assert found
    assert str(found).startswith("valid  ")
    page = result.report(tmp_path / "head.html")
    assert "head.certificate.json" in page.read_text(encoding="utf-8")
    assert result.to_dicom(tmp_path / "series")["image"].is_file()
    assert ct.verify(tmp_path / "series")
    assert result.show().get_suptitle().startswith("certified after")


def test_a_notebook_draws_what_show_gives(result: ct.Reconstruction) -> None:
    """By the protocol that a kernel asks, without pyplot, as a fresh notebook is."""
    figure = result.show()
    drawn = np.asarray(Image.open(io.BytesIO(figure._repr_png_())).convert("L"))  # type: ignore[attr-defined]
    width, height = figure.get_size_inches() * figure.dpi
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx(width / height, rel=0.01)
    above = drawn[: int(0.05 * len(drawn))]
    assert (above < 128).any(), "the verdict stands above"
    assert len(np.unique(drawn[len(drawn) // 4 :])) > 50, "the picture lies below"
    assert not hasattr(Figure(), "_repr_png_"), "one of matplotlib's own would be text"


def test_settings_are_one_value_that_travels(result: ct.Reconstruction, scan: ct.Scan, tmp_path: Path) -> None:
    from ctrecon.outputs.history import read_history

    settings = ct.Settings(delta="3%", method="cgls", iterations=7, every=2, size=32, device="cpu")
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert Settings.from_dict(settings.to_dict()) == settings
    with pytest.raises(AttributeError):
        settings.delta = "1%"  # type: ignore[misc]
    made = ct.reconstruct(scan, settings)
    assert made.settings == settings
    assert made.image.shape == (32, 32)
    read = read_history(made.save(tmp_path / "u.npy", preview=False)["history"])
    assert read.settings == settings.to_dict()
    again = ct.reconstruct(scan, ct.Settings.from_dict(read.settings))
    assert np.array_equal(again.image, made.image)
    keywords = ct.reconstruct(scan, settings, size=40)
    assert keywords.image.shape == (40, 40)
    assert keywords.settings.method == "cgls"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "no method 'magic'; use energy"),
        ({"method": "cgls", "looks": 2}, "asks no network"),
        ({"method": "fbp", "iterations": 2}, "drop --iterations"),
        ({"method": "cgls", "prior": "x"}, "asks no network"),
        ({"window": "hann"}, "has no filter"),
        ({"iterations": 0}, "iterations must be >= 1, got 0"),
        ({"iterations": 2.5}, "iterations must be a whole number or None, got 2.5"),
        ({"looks": 31}, "<= 30, got 31"),
        ({"every": True}, "every must be a whole number, got True"),
        ({"quantile": 1.5}, "got 1.5"),
        ({"quantile": 0.9, "delta": "1%"}, "--quantile 0.9 belongs to --delta auto"),
        ({"repeat": "b.npy", "delta": 3}, "gives delta"),
        ({"pixel_mm": -1.0}, "got -1"),
        ({"delta": None}, "delta must be a text or a finite number"),
        ({"most_attenuation": float("nan")}, "must be a finite number"),
    ],
)
def test_impossible_settings_are_refused_where_they_are_made(options: dict[str, object], words: str) -> None:
    with pytest.raises(ct.errors.SettingError, match=None) as why:
        ct.Settings(**options)  # type: ignore[arg-type]
    assert words in str(why.value)


def test_what_only_a_file_has_a_use_for_is_refused_of_a_scan(scan: ct.Scan) -> None:
    with pytest.raises(ct.errors.SettingError, match="row says how a file is read"):
        ct.reconstruct(scan, row=3)
    with pytest.raises(ct.errors.InputError, match="got ndarray"):
        ct.reconstruct(scan.sinogram)  # type: ignore[arg-type]


def test_any_direction_is_certified_alike(scan: ct.Scan) -> None:
    torch.manual_seed(0)
    uphill = ct.reconstruct(scan, delta="4%", direction=lambda p: p.gradient + torch.randn_like(p.u))
    assert uphill.certified
    energies = [record.energy for record in uphill.history]
    assert all(after < before for before, after in itertools.pairwise(energies))
    assert uphill.settings.prior.startswith("given in Python: the direction ")
    with pytest.raises(ct.errors.SettingError, match="give it again"):
        ct.reconstruct(scan, uphill.settings)


def test_progress_is_one_line_each_and_nothing_is_printed(scan: ct.Scan, capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    ct.reconstruct(scan, delta="4%", method="cgls", progress=lambda now: lines.append(str(now)))
    assert capfd.readouterr() == ("", "")
    assert any(line.startswith("delta = ") for line in lines)
    assert sum(line.startswith("iteration ") for line in lines) >= 2
    missed: list[str] = []
    ct.reconstruct(scan, delta=1e-6, method="cgls", iterations=3, progress=lambda now: missed.append(str(now)))
    assert any("does any image meet it?" in line and "none below" in line for line in missed)


def test_what_was_simulated_is_taken_as_it_is_and_prints_on_one_line() -> None:
    made = ct.simulate("head", size=32, views=24, noise=0.01)
    assert ct.operator(made).shape == ct.operator(made.scan).shape
    assert ct.reconstruct(made, method="cgls", delta="1%").image.shape == made.truth.shape
    for said in (repr(made), repr(made.scan)):
        assert "\n" not in said
        assert len(said) < 300
        assert "24 x 32" in said
