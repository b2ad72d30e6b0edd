"""The checker copied out works by itself, in little memory."""

import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from certificate_cases import forge, written

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.joseph import JosephOperator


def run_alone(folder, *arguments):
    """The checker copied out, in an isolated interpreter that must not have met ctrecon, torch or numba."""
    shutil.copy(verify.__file__, folder / "copied_checker.py")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import copied_checker\n"
        "code = copied_checker.main(sys.argv[1:])\n"
        "met = {name.split('.')[0] for name in sys.modules} & {'ctrecon', 'torch', 'numba', 'astra'}\n"
        "assert not met, met\n"
        # Not ru_maxrss: that one remembers the size of the process that started this one.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(folder), *map(str, arguments)],
        capture_output=True, text=True, timeout=250, check=False, cwd=folder,
    )  # fmt: skip
    assert done.stderr == ""
    *lines, peak_kib = done.stdout.splitlines()
    return done.returncode, lines, int(peak_kib)


def test_the_checker_stands_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, bad = written("fan", tmp_path / "a"), written("whitened", tmp_path / "b")
    bad["data"].write_bytes(bad["data"].read_bytes()[:-1] + b"\x7f")
    statement = verify.check(good[""]).statement
    assert run_alone(tmp_path, good[""])[:2] == (0, [f"VALID scan.certificate.json: {statement}"])
    code, lines, _ = run_alone(tmp_path, good[""], bad[""])
    assert code == 1
    assert [line.split()[0] for line in lines] == ["VALID", "REFUSED"]
    code, lines, _ = run_alone(tmp_path, tmp_path / "none.certificate.json", bad[""])
    assert code == 2
    assert [line.split()[0] for line in lines] == ["UNREADABLE", "REFUSED"]
    script = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "copied_checker.py"), str(good[""])], capture_output=True, check=False
    )
    assert script.returncode == 0


def test_image_and_data_may_be_named(tmp_path):
    paths = written("fan", tmp_path)
    elsewhere = {name: paths[name].rename(tmp_path / f"{name} elsewhere.npy") for name in ("image", "data")}
    assert not verify.check(paths[""]).readable
    assert verify.check(paths[""], elsewhere["image"], elsewhere["data"]).valid
    assert not verify.check(paths[""], elsewhere["data"], elsewhere["image"]).valid


@pytest.mark.parametrize(
    ("size", "views", "mib"),
    [(164, 120, 120), *(pytest.param(*case, marks=pytest.mark.long) for case in ((256, 360, 120), (512, 720, 600)))],
)
def test_real_sizes_stay_small(size, views, mib, tmp_path):
    geometry = FanBeam(
        angles_rad=tuple((2 * math.pi * np.arange(views) / views).tolist()), detector_count=size,
        detector_spacing_mm=0.2 * 512 / size, source_to_axis_mm=410.66, source_to_detector_mm=553.74,
    )  # fmt: skip
    grid = Grid(rows=size, columns=size, pixel_mm=0.1483 * 512 / size)
    rng = np.random.default_rng(9)
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.05)
    data = JosephOperator(geometry, grid)(torch.from_numpy(image).double()[None, None])[0, 0].numpy()
    noise = 0.01 * rng.normal(size=data.shape)
    delta = float(np.linalg.norm(noise)) * (1 + 1e-5)
    paths = certify(image, data + noise, geometry, grid, delta).write(tmp_path / "scan.npy")
    code, _, peak_kib = run_alone(tmp_path, paths[""])
    assert code == 0
    assert peak_kib < mib << 10
    forge(paths[""], lambda v: v["operator"]["geometry"].update(detector_offset_mm=0.001))
    if size < 200:
        assert not verify.check(paths[""]).valid
