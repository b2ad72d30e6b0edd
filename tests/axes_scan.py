"""Raw data of a phantom with a ball at the patient's right, in front and towards the head, as a series, for each way
to lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.synthesise import Protocol, axes_phantom, synthesise
from ctrecon.support.arrays import Float64Array

POSITIONS = ("HFS", "FFS", "HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")
# Where the balls are in the patient's coordinates of DICOM (left, back, head; mm), and their HU.
BALLS = {"right": ((-60.0, 0.0, 0.0), 900.0), "front": ((0.0, -60.0, 0.0), 600.0), "head": ((0.0, 0.0, 20.0), 300.0)}


def protocol(position: str) -> Protocol:
    # Not symmetric in anything: the scan is off the middle along the axis and of the detector.
    return Protocol(
        rows=12, columns=64, column_pitch_mm=14.8, row_pitch_mm=5.2, per_turn=32, turns=2.8, feed_mm=24.0,
        first_z_mm=-33.0, flying="FFSXYZ", patient_position=position, central_row=6.2,
    )


def cosines(position: str) -> Float64Array:
    """Left, back and head of the patient as rows, in the frame of who stands before the gantry at the table: right, up,
    out of the gantry. By the words of PS3.3 C.7.3.1.1.2 and the rule that left x back = head, and nothing else.
    """
    up, out = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    head = -out if position[:2] == "HF" else out  # what goes in first is farthest in
    if position[2:] in ("S", "P"):  # on the back: the front is up
        back = -up if position[2:] == "S" else up
        return np.stack([np.cross(back, head), back, head])
    left = up if position[2:] == "DR" else -up  # lying on the right side, the left one is up
    return np.stack([left, np.cross(head, left), head])


def make_series(folder: Path, position: str) -> Path:
    """Raw data in ``folder/raw-POSITION``, and the series of its planes 20 mm apart, by the command line."""
    raw, series = folder / f"raw-{position}", folder / position
    synthesise(raw, axes_phantom(), protocol(position))
    words = ["reconstruct", raw, "--all-slices", "--spacing", 20, "--method", "fbp", "--window", "ram-lak"]
    words += ["--delta", 50, "--size", 48, "--pixel-mm", 4.5, "--no-preview", "-o", f"{series}/"]
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return series
