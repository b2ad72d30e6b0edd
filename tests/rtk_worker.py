"""RTK's Joseph pair and FDK in a process of its own, ``rtk_worker.py IN.npz OUT.npz``: beside torch ITK may not load.

IN holds a circle, a volume and projections in RTK's own order (``rtk_beside.py``); OUT what each map makes of them and
the best seconds and processor seconds of ``rounds`` runs.
"""

import sys
import time

import itk
import numpy as np

given = dict(np.load(sys.argv[1]))
Image = itk.Image[itk.F, 3]
circle = itk.RTK.ThreeDCircularProjectionGeometry.New()
for angle in given["gantry_deg"].tolist():
    circle.AddProjection(float(given["source_to_axis_mm"]), float(given["source_to_detector_mm"]), angle)


def image(name, values):
    """About the axis, the spacing that of ``name``."""
    spacing = given[f"{name}_mm"].tolist()
    found = itk.image_from_array(np.ascontiguousarray(values, dtype=np.float32))
    found.SetSpacing(spacing)
    found.SetOrigin([-(n - 1) / 2 * step for n, step in zip(values.shape[::-1], spacing, strict=True)])
    return found


MAPS = {
    "A": (itk.RTK.JosephForwardProjectionImageFilter[Image, Image], "data", "volume"),
    "A^T": (itk.RTK.JosephBackProjectionImageFilter[Image, Image], "volume", "data"),
    "FDK": (itk.RTK.FDKConeBeamReconstructionFilter[Image], "volume", "data"),
}
out = {}
for what, (kind, to, of) in MAPS.items():
    seconds, processor = [], []
    for _ in range(int(given["rounds"])):
        one = kind.New()
        one.SetInput(0, image(to, np.zeros_like(given[to])))
        one.SetInput(1, image(of, given[of]))
        one.SetGeometry(circle)
        wall, busy = time.perf_counter(), time.process_time()
        one.Update()
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - busy)
        out[what] = np.array(itk.array_from_image(one.GetOutput()))
    out[f"{what} seconds"], out[f"{what} processor"] = min(seconds), min(processor)
np.savez(sys.argv[2], **out)
