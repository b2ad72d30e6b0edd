"""The small scan that the tests of the readers write in every format."""

from __future__ import annotations

import json

import numpy as np

from ctrecon.geometry.fan import FanBeam

VIEWS, DETECTORS = 12, 17


def sinogram(seed=0, views=VIEWS, detectors=DETECTORS):
    return np.random.default_rng(seed).random((views, detectors))


def fan(views=VIEWS, detectors=DETECTORS, **more):
    angles = tuple(np.deg2rad(np.arange(views) * 7.5).tolist())
    common = {"detector_spacing_mm": 0.2, "source_to_axis_mm": 410.66, "source_to_detector_mm": 553.74}
    return FanBeam(angles_rad=angles, detector_count=detectors, **(common | more))


SIDECAR = {
    "geometry": "fan",
    "angles_deg": [7.5 * k for k in range(VIEWS)],
    "detector_spacing_mm": 0.2,
    "detector_offset_mm": 0,
    "source_to_axis_mm": 410.66,
    "source_to_detector_mm": 553.74,
    "image": {"size": 32, "pixel_mm": 0.1},
}


def write_json(path, values):
    path.write_text(json.dumps(values))
    return path
