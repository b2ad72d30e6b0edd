"""A thousand slices need no more memory than a few."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from stacks import geometry


@pytest.mark.long
def test_memory_does_not_grow_with_the_slices(tmp_path: Path) -> None:
    """1,000 slices of 512 x 512 within 2 GiB, of a file of zeros and one value that takes no room on disk."""
    views, rows, cells = 16, 1000, 512
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset("sinogram", (views, rows, cells), "f4", chunks=(1, rows, cells), compression="lzf")
        for view in range(views):
            data[view] = np.where(np.abs(np.arange(cells) - 255.5) < 100, 1.0, 0.0)[None].astype("f4").repeat(rows, 0)
    (tmp_path / "scan.json").write_text(json.dumps(geometry(views)))
    line = f"reconstruct {tmp_path}/scan.h5 -o {tmp_path}/v.zarr --method fbp --window hann --delta 100% --size 512"
    command = [sys.executable, "-m", "ctrecon.cli.main", *line.split(), "--no-preview"]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20  # in KiB
