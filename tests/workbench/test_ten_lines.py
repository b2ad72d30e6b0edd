"""The ten lines of the documentation as a user types them, and as a type checker reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ctrecon as ct

LINES = '''
import ctrecon as ct
scan = ct.Scan(sinogram, ct.FanBeam(angles_rad=angles, detector_count=64, source_to_axis_mm=110.0, source_to_detector_mm=300.0, detector_spacing_mm=1.8))
result = ct.reconstruct(scan, delta="auto")
result.image, result.residual, result.certified, result.certificate
result.save("head.npy"); result.report("head.html"); result.to_dicom("series/"); ct.verify("head.certificate.json")
result.show()
ct.reconstruct(scan, direction=lambda p: my_network(p))
A = ct.operator(scan); A(u); A.T(f); A.fbp(f)
ct.audit(result, roi=(30, 30, 5), iterations=100); ct.simulate("head", noise=0.01)
'''  # noqa: E501 - as they are printed

USER = '''
import numpy as np
import ctrecon as ct
beam = ct.ParallelBeam(angles_rad=tuple(np.linspace(0.0, 3.0, 9)), detector_count=16)
scan: ct.Scan = ct.Scan(np.ones((9, 16)), beam)
result: ct.Reconstruction = ct.reconstruct(scan, delta="1%", looks=2, method="energy")
residual: float = result.residual
certified: bool = ct.verify("u.certificate.json").valid
operator = ct.operator(scan)
settings = ct.Settings(delta=2.5, iterations=3)
reveal_type(result.certified)
'''


def test_the_ten_lines_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    angles = tuple(np.linspace(0, 2 * np.pi, 60, endpoint=False))
    beam = ct.FanBeam(
        angles_rad=angles, detector_count=64, source_to_axis_mm=110.0, source_to_detector_mm=300.0,
        detector_spacing_mm=1.8,
    )  # fmt: skip
    sinogram = ct.simulate("head", geometry=beam, noise=0.02).scan.sinogram
    probe = ct.operator(ct.Scan(sinogram, beam))
    space = {
        "sinogram": sinogram, "angles": angles, "my_network": lambda p: -p.gradient,
        "u": torch.ones(2, *probe.domain_shape), "f": torch.ones(2, *probe.range_shape),
    }  # fmt: skip
    exec(compile(LINES, "ten lines", "exec"), space)
    assert space["result"].certified
    for name in ("head.npy", "head.certificate.json", "head.history.json", "head.html", "series/ct-0001.dcm"):
        assert (tmp_path / name).is_file(), name


# As strict as `make lint`; what other libraries say of their types costs five times as much and is not asked here.
STRICT = """
[mypy]
strict = True
disallow_untyped_decorators = False
disallow_subclassing_any = False
[mypy-torch.*,numpy.*,scipy.*,numba.*,matplotlib.*,PIL.*,pydicom.*,highdicom.*,h5py.*,plotly.*,rich.*]
follow_imports = skip
"""


def check(tmp_path: Path, **texts: str) -> dict[str, str]:
    """What a type checker says of each text, by its name."""
    files = [tmp_path / f"{name}.py" for name in texts]
    for path, text in zip(files, texts.values(), strict=True):
        path.write_text(text)
    settings = tmp_path / "mypy.ini"
    settings.write_text(STRICT)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(settings), "--cache-dir", str(tmp_path / "cache"),
         *map(str, files)],
        capture_output=True, text=True, check=False, cwd=Path(ct.__file__).parents[1],
    )  # fmt: skip
    said = (done.stdout + done.stderr).splitlines()
    return {path.stem: "\n".join(line for line in said if path.name in line) for path in files}


@pytest.mark.long
@pytest.mark.slow
def test_a_type_checker_sees_through_the_lazy_door(tmp_path: Path) -> None:
    wrong = USER.replace("looks=2", "look=2").replace("residual: float", "residual: str")
    said = check(tmp_path, user=USER, wrong=wrong)
    assert 'Revealed type is "bool"' in said["user"]
    assert ": error:" not in said["user"], said
    assert 'Unexpected keyword argument "look"' in said["wrong"]
    assert "Incompatible types in assignment" in said["wrong"]


def test_help_in_a_notebook_is_safe_html() -> None:
    scan = ct.simulate("head", geometry=ct.ParallelBeam(
        angles_rad=tuple(np.linspace(0, np.pi, 20, endpoint=False)), detector_count=24
    )).scan  # fmt: skip
    named = ct.Scan(scan.sinogram, scan.geometry, source="<script>x</script>")
    result = ct.reconstruct(named, delta="9%", method="fbp")
    shown = result._repr_html_()
    assert "data:image/png;base64," in shown
    assert "<script" not in shown
    assert "&lt;=" in shown or "residual" in shown
    assert "\n" not in repr(result)
