"""What a series assumes of axes, patient, place and water stands on the console and in JSON as in its headers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.synthesise import Protocol, axes_phantom, synthesise

QUICK = "--method fbp --window ram-lak --delta 90% --size 16 --no-preview".split()


def write_scan(folder: Path, name: str) -> tuple[str, ...]:
    if name in ("projections", "all slices"):
        few = Protocol(rows=4, columns=24, column_pitch_mm=39.4, per_turn=18, turns=1.6, feed_mm=3.0, first_z_mm=-2.4)
        synthesise(folder / "raw", axes_phantom(), few)
        return (str(folder / "raw"), *(("--all-slices", "--spacing", "2") if name == "all slices" else ("--z", "0")))
    if name == "simulated":
        path = folder / "s.npz"
        made = CliRunner().invoke(cli, ["simulate", "--size", "16", "--views", "9", "-o", str(path)])
        assert made.exit_code == 0, made.output
        return (str(path),)
    np.save(folder / "s.npy", np.random.default_rng(0).uniform(0.1, 0.2, (9, 16)))
    beam = {"geometry": "parallel", "angles_deg": list(range(0, 180, 20)), "detector_spacing_mm": 1.0}
    (folder / "s.json").write_text(json.dumps(beam))
    return (str(folder / "s.npy"), "--patient-position", "HFP")


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("name", "words"), [
    ("projections", ("position is FFS, as the scan says", "Water attenuates")),
    ("all slices", ("position is FFS, as the scan says", "Water attenuates")),
    ("simulated", ("This is of no patient", "No patient is named", "z = 0 means nothing", "Water attenuates 0.02")),
    ("array", ("position is HFP, as", "No patient is named", "z = 0 means nothing", "Water attenuates 0.02")),
])  # fmt: skip
def test_everything_that_a_series_assumes_is_on_the_console_and_in_json(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    scan = write_scan(tmp_path, name)
    done = CliRunner().invoke(cli, ["reconstruct", *scan, *QUICK, "-o", f"{tmp_path / 'a'}/"], catch_exceptions=False)
    assert done.exit_code in (0, 3), done.output
    told = [line for line in done.output.splitlines() if line.startswith("note: ")]
    assert len(told) == len(set(told))
    plain = CliRunner().invoke(cli, ["reconstruct", *scan, *QUICK, "-o", f"{tmp_path / 'b'}/", "--json"])
    values = json.loads(plain.stdout)
    notes = [note for one in values.get("slices", [values]) for note in one["notes"]]
    comments = dcmread(tmp_path / "a" / "ct-0001.dcm").ImageComments
    for word in words:
        assert sum(word in line for line in told) == 1, (word, done.output)
        assert any(word in note for note in notes), word
        assert word in comments or word.startswith("Water"), word
