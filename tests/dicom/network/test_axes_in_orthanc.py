"""What a viewer shows of each way to lie on the table: the right on the left of the image, the front on top."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axes_scan import BALLS, POSITIONS
from orthanc_server import Orthanc
from PIL import Image
from pydicom import dcmread


def shown(orthanc: Orthanc, path: Path) -> Any:
    """Orthanc's picture of a file, as grey values."""
    stored = json.loads(orthanc.raw("/instances", path.read_bytes(), "POST"))
    return np.asarray(Image.open(io.BytesIO(orthanc.raw(f"/instances/{stored['ID']}/preview"))).convert("F"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("position", POSITIONS)
def test_orthanc_shows_right_front_and_head_where_radiologists_expect_them(
    position: str, orthanc: Orthanc, axes_series: dict[str, Path]
) -> None:
    pictures = {}
    for name in ("ct-0002.dcm", "ct-0003.dcm"):
        header = dcmread(axes_series[position] / name, stop_before_pixels=True)
        pictures[round(float(header.ImagePositionPatient[2]) / 20)] = shown(orthanc, axes_series[position] / name)
    middle, upper = pictures[0], pictures[1]

    def grey(picture: Any, x: float, y: float) -> float:
        """About ``x`` to the right and ``y`` down from the middle of the picture, in mm."""
        column, row = 23.5 + x / 4.5, 23.5 + y / 4.5
        return float(picture[round(row) - 1 : round(row) + 2, round(column) - 1 : round(column) + 2].mean())

    (right, _), (front, _) = BALLS["right"], BALLS["front"]
    assert grey(middle, *right[:2]) > grey(middle, *front[:2]) + 20 > grey(middle, 0, 0) + 40, position
    for x, y in ((60, 0), (0, 60)):
        assert abs(grey(middle, x, y) - grey(middle, 0, 0)) < 10, position
    assert grey(upper, 0, 0) > grey(upper, *right[:2]) + 20, position
