"""The command: it names and mends; and ``reconstruct`` says in the line of its verdict what is in doubt."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.io.write import write_scan


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_a_flipped_scan_is_named_mended_and_never_certified_by_a_larger_delta(tmp_path: Path) -> None:
    good = ct.simulate("chest", size=56, views=36, noise=0.01, seed=2).scan
    flipped = dataclasses.replace(good, sinogram=np.ascontiguousarray(good.sinogram[:, ::-1]))
    path, picture, mended = tmp_path / "flipped.npz", tmp_path / "p.png", tmp_path / "m.npz"
    write_scan(path, flipped)
    result = run("diagnose", str(path), "--json", "--apply", "-o", str(mended), "--picture", str(picture))
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["findings"][0]["cause"] == found["applied"] == "angles-negated"
    assert found["mirror_images"]
    assert np.asarray(Image.open(picture)).std() > 10
    assert ct.read_scan(mended).sinogram.shape == good.sinogram.shape
    assert run("diagnose", str(path), "--apply", "-o", str(mended)).exit_code == 2  # it is there already
    for words in (("--cause", "axis"), ("-o", str(tmp_path / "x.npz")), ("--apply", "-o", str(tmp_path / "x.npy"))):
        result = run("diagnose", str(path), *words)
        assert result.exit_code == 2, words
        assert len(result.stderr.splitlines()) == 1
    assert any("in doubt: the angles run" in line for line in run("info", str(path)).output.splitlines())
    # The largest misfit is no advice: what is offered is the slip, not a delta that any image meets.
    command = ("reconstruct", str(path), "-o", str(tmp_path / "r.npy"), "--method", "huber-tv", "--delta", "auto")
    result = run(*command)
    assert result.exit_code == 3
    said = next(line for line in result.output.splitlines() if "infeasible" in line or "delta not met" in line)
    assert "the angles run the other way" in said
    assert "--delta" not in said
    # And if somebody takes one all the same, the line that says certified says this, too.
    result = run(*command[:4], "--method", "cgls", "--delta", "20%", "--overwrite")
    assert result.exit_code == 0
    said = next(line for line in result.output.splitlines() if line.startswith("certified"))
    assert "in doubt: the angles run the other way" in said
    page = tmp_path / "r.html"
    assert run("report", str(tmp_path / "r.npy"), "-o", str(page)).exit_code == 0
    text = page.read_text()
    assert "The scan itself is in doubt" in text
    assert '<section class="verdict certified"' not in text
    history = json.loads((tmp_path / "r.history.json").read_text())
    assert any("doubt: the angles" in note for note in history["notes"])


def test_nothing_to_mend_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "good.npz"
    write_scan(path, ct.simulate("head", size=56, views=36, noise=0.01, seed=2).scan)
    result = run("diagnose", str(path))
    assert result.exit_code == 0
    assert "nothing was found" in result.output
    result = run("diagnose", str(path), "--apply", "-o", str(tmp_path / "m.npz"))
    assert result.exit_code == 2
    assert "nothing was found that could be mended" in result.stderr
    assert not (tmp_path / "m.npz").exists()
