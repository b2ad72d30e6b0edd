"""Mutated files of every reader but DICOM's: each is read, or refused in one line.

    python -m tests.io.fuzz_readers --cases 2000 --seed 1

``tests/fuzz_dicom.py`` has the DICOM reader, with processes of their own; its mutations are used here.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py
import numpy as np
import SimpleITK
import torch
from fuzz_dicom import mutate
from PIL import Image
from scipy.io import savemat

from ctrecon.applications.sudoku.files import read_puzzles
from ctrecon.errors import CtreconError
from ctrecon.io.arrays import read_scan
from ctrecon.io.images import read_image_array
from ctrecon.io.nifti import read_stored_volume
from ctrecon.io.pictures import read_picture
from ctrecon.networks.pretrained import load_network, save_network
from ctrecon.networks.unet import UNet

GEOMETRY = {
    "geometry": "fan", "angles_deg": list(range(0, 360, 30)), "detector_count": 16, "detector_spacing_mm": 1.0,
    "detector_offset_mm": 0.0, "source_to_axis_mm": 100.0, "source_to_detector_mm": 200.0,
    "image": {"size": 16, "pixel_mm": 0.5},
}  # fmt: skip
INTERESTING = (9e18, 1e308, -1, 0, 1e-300, "x", None, [], {}, True, float("nan"), float("inf"), 2**70, [1] * 30)


def seeds(folder: Path) -> list[tuple[str, bytes, Callable[[Path], object]]]:
    """One small file of each format, and the reader that takes it."""
    rng = np.random.default_rng(0)
    values = rng.random((12, 16)).astype(np.float32)
    made: list[tuple[str, Callable[[Path], object]]] = []

    def add(name: str, write: Callable[[Path], object], read: Callable[[Path], object]) -> None:
        write(folder / name)
        made.append((name, read))

    def scan(path: Path) -> object:
        return read_scan(path, geometry="parallel-180")

    add("a.npy", lambda p: np.save(p, values), scan)
    add("image.npy", lambda p: np.save(p, values), read_image_array)
    add("a.npz", lambda p: np.savez(p, sinogram=values, geometry=json.dumps(GEOMETRY)), read_scan)
    add("z.npz", lambda p: np.savez_compressed(p, counts=np.rint(100 * values), white=np.full(16, 120.0)), scan)
    add("a.mat", lambda p: savemat(p, {"sinogram": values, "s": {"t": {"u": 1}}}, do_compression=True), scan)
    add("a.h5", lambda p: _hdf5(p, values), scan)
    add("a.nii", lambda p: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values[None] * 100), str(p)),
        read_stored_volume)  # fmt: skip
    add("a.mha", lambda p: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values[None]), str(p)), read_stored_volume)
    add("a.nrrd", lambda p: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values[None]), str(p)), read_stored_volume)
    levels = (values * 255).astype(np.uint8)
    add("a.png", lambda p: Image.fromarray(levels).save(p), read_picture)
    add("a.tif", lambda p: Image.fromarray(levels).save(p), read_picture)
    add("deep.tif", lambda p: SimpleITK.WriteImage(SimpleITK.GetImageFromArray((values * 9999).astype(np.uint16)),
                                                   str(p)), read_picture)  # fmt: skip
    add("a.csv", lambda p: p.write_text("quizzes,solutions\n" + "0" * 81 + "," + "123456789" * 9 + "\n"), read_puzzles)
    add("a.safetensors", _weights, lambda p: load_network(p, [UNet]))
    return [(name, (folder / name).read_bytes(), read) for name, read in made]


def _hdf5(path: Path, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["sinogram"] = values
        file["group/theta"] = np.arange(12.0)


def _weights(path: Path) -> None:
    torch.manual_seed(0)
    network = UNet(UNet.Shape(widths=(4, 4, 4), blocks=(1, 1, 1)))
    save_network(path, network, network.state_dict(), {"name": "small"})


def sidecar_case(rng: random.Random, path: Path) -> None:
    """A sound sinogram beside a geometry in which one or two values are something else."""
    np.save(path, np.ones((12, 16), np.float32))
    values: dict[str, Any] = json.loads(json.dumps(GEOMETRY))
    for _ in range(rng.randrange(1, 3)):
        image = values.get("image")
        place = image if isinstance(image, dict) and rng.random() < 0.3 else values
        place[rng.choice([*place, "scan"])] = rng.choice(INTERESTING)
    path.with_suffix(".json").write_text(json.dumps(values))


def outcome(act: Callable[[], object]) -> str:
    """``read`` or ``refused``. Whatever else is raised is a bug and passes through."""
    try:
        act()
    except CtreconError as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            raise RuntimeError(f"a refusal that is not one short line: {str(error)[:300]!r}") from error
        return "refused"
    return "read"


def run(cases: int, seed: int, *, only: str | None = None) -> dict[str, dict[str, int]]:
    """``cases`` of each kind; how many were read and refused. A bug is raised, with its number."""
    found: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as given, warnings.catch_warnings():
        warnings.simplefilter("error")  # a library's remark on a damaged file is no line of ours
        folder = Path(given)
        files = seeds(folder)
        others = [content for _, content, _ in files]
        kinds = [*files, ("sidecar", b"", read_scan)]
        for name, content, read in kinds:
            counts = found.setdefault(name, {"read": 0, "refused": 0, "BUG": 0})
            for number in range(cases) if only in (None, name) else ():
                rng = random.Random(f"{seed}/{name}/{number}")
                path = folder / ("side.npy" if name == "sidecar" else f"x{name}")
                if name == "sidecar":
                    sidecar_case(rng, path)
                else:
                    path.write_bytes(mutate(rng, content, others))
                try:
                    counts[outcome(lambda: read(path))] += 1  # noqa: B023
                except Exception:
                    counts["BUG"] += 1
                    sys.stderr.write(f"--- {name} {number}\n{traceback.format_exc(limit=-3)}\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    options = parser.parse_args()
    found = run(options.cases, options.seed, only=options.only)
    for name, counts in found.items():
        print(name, counts)
    return int(any(counts["BUG"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
