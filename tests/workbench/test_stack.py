"""All slices of a scan as one volume: every format, what is checked of it, ``kill -9``, memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
import tifffile
import torch
import zarr
from click.testing import CliRunner, Result
from cores import THREADS
from stacks import QUICK, ROWS, SPACING_MM, geometry, line_integrals, npy_stack

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import OutputError
from ctrecon.outputs.stack.formats import SUFFIXES
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.progress import Progress

# Bytes of processes that are killed are compared with those made here, notes and all.
pytestmark = pytest.mark.doubts

KILLED = """
import os, signal, sys
from ctrecon.cli.main import cli
from ctrecon.reconstruction import pieces, together
from ctrecon.outputs.stack import store
together._MOST = 2
calls = []
owner, name = {"keep": (pieces.Pieces, "keep"), "write": (store.StackTarget, "_swap")}[sys.argv[1]]
real = getattr(owner, name)

def cut(*args, **options):
    calls.append(0)
    if len(calls) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)

setattr(owner, name, cut)
cli(sys.argv[3:])
"""


def run(words: str) -> Result:
    return CliRunner().invoke(cli, words.split(), catch_exceptions=False)


@pytest.fixture(autouse=True, scope="module")
def batches_of_two() -> Iterator[None]:
    """And as many threads as every test has: with others the last bits are others."""
    torch.set_num_threads(THREADS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(THREADS))
        patch.setattr("ctrecon.reconstruction.together._MOST", 2)
        yield


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npy_stack(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def store(scan: Path) -> Path:
    done = run(f"reconstruct {scan} -o {scan.parent}/v.zarr {QUICK}")
    assert done.exit_code == 0, done.output
    return scan.parent / "v.zarr"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.long
def test_every_slice_is_the_one_that_a_job_of_its_own_gives(scan: Path, store: Path) -> None:
    volume = zarr.open_array(store / "0", mode="r")
    assert volume.shape[0] == ROWS
    manifest = json.loads((store / "evidence" / "manifest.json").read_text())
    for k in range(ROWS):
        own = ct.reconstruct(
            scan, method="fbp", delta="12%", row=k, size=volume.shape[1], pixel_mm=manifest["step_mm"][1]
        )
        assert own.certified
        assert np.abs(own.image - volume[k]).max() < 1e-5 * own.image.max()
        assert np.isclose(manifest["slices"][k]["residual"], own.residual, rtol=1e-5)
    assert np.abs(volume[0] - volume[ROWS - 1]).max() > 1e-3  # and they differ


def test_where_voxels_stand_is_said_as_other_programs_read_it(store: Path) -> None:
    said = json.loads((store / ".zattrs").read_text())["multiscales"][0]
    assert [axis["name"] for axis in said["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in said["axes"]} == {"millimeter"}
    scale, moved = (one for one in said["datasets"][0]["coordinateTransformations"])
    assert scale["scale"][0] == SPACING_MM
    assert moved["translation"][0] == -(ROWS - 1) / 2 * SPACING_MM
    shape = zarr.open_array(store / "0", mode="r").shape
    assert moved["translation"][1] == pytest.approx(-(shape[1] - 1) / 2 * scale["scale"][1])


def test_the_store_is_verified_with_its_scan_and_without(scan: Path, store: Path, tmp_path: Path) -> None:
    assert ct.verify(store)
    against = ct.verify(store, scan=scan)
    assert against, str(against)
    assert "value by value" in str(against)
    other = npy_stack(tmp_path, "other", seed=1)
    assert "its data are not those" in "".join(run(f"verify {store} --scan {other}").output)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix not in (".zarr", ".nii", ".tiff", ".hdf5")])
def test_every_format_holds_the_same_volume_and_is_verified(
    scan: Path, store: Path, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"v{suffix}"
    done = run(f"reconstruct {scan} --all-slices -o {path} --water-mu 0.02 --patient-position HFS {QUICK}")
    assert done.exit_code == 0, done.output
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["v.evidence", path.name])
    volume = np.asarray(zarr.open_array(store / "0", mode="r")[:])
    manifest = json.loads((tmp_path / "v.evidence" / "manifest.json").read_text())
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(path), volume)
    elif suffix == ".h5":
        with h5py.File(path) as file:
            assert np.array_equal(file["volume"][:], volume)
    else:
        image = SimpleITK.ReadImage(str(path))
        assert np.allclose(SimpleITK.GetArrayFromImage(image), (volume / 0.02 - 1) * 1000, atol=1e-2)
        assert image.GetOrigin() == pytest.approx(manifest["first_mm"][::-1])
        assert image.GetSpacing() == pytest.approx(manifest["step_mm"][::-1])
        assert image.GetDirection() == pytest.approx(np.eye(3).ravel())
    for named in (path, tmp_path / "v.evidence"):
        assert ct.verify(named), str(ct.verify(named))
    _flip(path)
    assert not ct.verify(path)


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 + 3] ^= 0x40
    path.write_bytes(raw)


def _edit(path: Path, change: Callable[[dict], None]) -> None:
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values, sort_keys=True, indent=1) + "\n")


def _swap(folder: Path) -> None:
    one, other = folder / "0" / "1" / "0" / "0", folder / "0" / "2" / "0" / "0"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _other_level(folder: Path) -> None:
    group = zarr.open_group(folder, mode="a", zarr_format=2)
    group["0"][3, 2, 2] += 0.1


def _stretch(said: dict) -> None:
    said["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"][0] = 9.0


CHANGES = {
    "a chunk damaged": lambda s: _flip(s / "0" / "3" / "0" / "0"),
    "a chunk missing": lambda s: (s / "0" / "3" / "0" / "0").unlink(),
    "a voxel changed": _other_level,
    "slices exchanged": _swap,
    "z stretched in the store": lambda s: _edit(s / ".zattrs", _stretch),
    "z changed in the manifest": lambda s: _edit(
        s / "evidence" / "manifest.json", lambda v: v["slices"][0].update(z_mm=9.0)
    ),
    "an image changed": lambda s: _flip(s / "evidence" / "slice-0002.npy"),
    "a certificate changed": lambda s: _flip(s / "evidence" / "slice-0002.certificate.json"),
    "a certificate missing": lambda s: (s / "evidence" / "slice-0002.certificate.json").unlink(),
    "data changed": lambda s: _flip(s / "evidence" / "slice-0002.data.npy"),
    "another array beside": lambda s: (s / "1").mkdir(),
    "a file more": lambda s: (s / "evidence" / "approved.txt").write_text("for diagnosis"),
    "metadata of zarr 3": lambda s: (s / "zarr.json").write_text("{}"),
    "pickles as chunks": lambda s: _edit(s / "0" / ".zarray", lambda v: v.update(filters=[{"id": "pickle"}])),
    "another shape": lambda s: _edit(s / "0" / ".zarray", lambda v: v.update(shape=[7, 20000, 20000])),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_is_refused(store: Path, tmp_path: Path, what: str) -> None:
    subprocess.run(["cp", "-r", store, tmp_path / "v.zarr"], check=True)
    CHANGES[what](tmp_path / "v.zarr")
    found = ct.verify(tmp_path / "v.zarr")
    assert not found
    assert len(found.reason.splitlines()) == 1


def test_a_signature_binds_the_manifest(scan: Path, tmp_path: Path) -> None:
    for name in ("site", "other"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / f"{name}.pem"], check=True)
        public = ["-pubout", "-out", tmp_path / f"{name}.pub"]
        subprocess.run(["openssl", "pkey", "-in", tmp_path / f"{name}.pem", *public], check=True)
    assert run(f"reconstruct {scan} -o {tmp_path}/v.zarr --sign {tmp_path}/site.pem {QUICK}").exit_code == 0
    assert ct.verify(tmp_path / "v.zarr", trusted=tmp_path / "site.pub")
    assert not ct.verify(tmp_path / "v.zarr", trusted=tmp_path / "other.pub")


@pytest.mark.sampled(1)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
@pytest.mark.parametrize(("where", "count"), [("keep", 3), ("write", 1)])
def test_kill_9_at_any_point_and_again_gives_the_same_bytes(
    scan: Path, store: Path, tmp_path: Path, where: str, count: int
) -> None:
    line = f"reconstruct {scan} -o {tmp_path}/v.zarr {QUICK}"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(count), *line.split()], capture_output=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".v.zarr.journal"], "nothing half-written"
    done = run(line)
    assert done.exit_code == 0, done.output
    kept = 2 * (count - 1) if where == "keep" else ROWS
    assert f"{kept} slices were taken over" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["v.zarr"], "the journal is gone"
    assert files_in(tmp_path / "v.zarr") == files_in(store)


def test_progress_has_a_rate_and_the_middle_slice_is_drawn_first(scan: Path, tmp_path: Path) -> None:
    heard: list[Progress] = []
    seen: list[tuple[int, bool]] = []
    settings = Settings(method="fbp", delta="12%")
    made = ct.reconstruct_stack(
        scan, tmp_path / "v.zarr", settings, progress=heard.append,
        watch=lambda k, record: seen.append((k, (tmp_path / "v.png").exists())),
    )  # fmt: skip
    assert made.certified == made.planned == ROWS
    assert [k for k, _ in seen] == [2, 3, 0, 1, 4, 5, 6]
    assert [drawn for _, drawn in seen] == [False] + [True] * 6
    stack = [one for one in heard if one.stage == "stack"]
    assert [one.done for one in stack] == [2, 4, 6, 7]
    assert all(one.total == ROWS and one.values["slices per minute"] > 0 for one in stack)
    assert stack[-1].values["minutes left"] == 0
    # One that replaces an earlier stack draws its picture with it; one of something else is not replaced unasked.
    (tmp_path / "v.png").write_bytes(b"old")
    by_then: set[bytes] = set()

    def heed(k: int, record: object) -> None:
        by_then.add((tmp_path / "v.png").read_bytes())

    made = ct.reconstruct_stack(scan, tmp_path / "v.zarr", settings, overwrite=True, watch=heed)
    assert by_then == {b"old"}
    assert made.written["preview"].read_bytes()[1:4] == b"PNG"
    with pytest.raises(OutputError, match=r"v\.png is there already"):
        ct.reconstruct_stack(scan, tmp_path / "v.h5", settings)


def test_a_slice_that_misses_delta_is_in_the_volume_and_verify_refuses_it(tmp_path: Path) -> None:
    small = npy_stack(tmp_path, rows=2, cells=10, views=4)
    done = run(f"reconstruct {small} -o {tmp_path}/v.zarr --method cgls --iterations 1 --delta 0.01 --no-preview")
    assert done.exit_code == 3
    assert "0 of 2 slices are certified" in done.output
    found = ct.verify(tmp_path / "v.zarr")
    assert not found
    assert "2 of 2 slices are refused" in found.reason


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["data-exchange", "nxtomo", "named", "tiff"])
def test_every_source_gives_the_rows_of_the_file(tmp_path: Path, kind: str, scan: Path) -> None:
    white, lines = 40000.0, line_integrals()
    counts = np.rint(white * np.exp(-lines)).astype(np.uint16)
    angles = np.degrees(geometry()["angles_rad"])
    path = tmp_path / "scan.h5"
    if kind == "tiff":
        path = tmp_path / "scan"
        path.mkdir()
        for k, frame in enumerate(counts):
            tifffile.imwrite(path / f"view{k:04d}.tif", frame)
        tifffile.imwrite(path / "white0.tif", np.full(counts.shape[1:], white, np.uint16))
        (path / "angles.txt").write_text("\n".join(map(str, angles)))
    else:
        with h5py.File(path, "w") as file:
            if kind == "data-exchange":
                file["exchange/data"] = counts
                file["exchange/data_white"] = np.full((2, *counts.shape[1:]), white, np.uint16)
                file["exchange/theta"] = angles
            elif kind == "nxtomo":
                frames = np.concatenate([counts, np.full((2, *counts.shape[1:]), white, np.uint16)])
                file["entry/instrument/detector/data"] = frames
                file["entry/instrument/detector/image_key"] = [0] * len(counts) + [1, 1]
                file["entry/sample/rotation_angle"] = [*angles, 0, 0]
            else:
                file["sinogram"] = lines
        if kind == "named":
            path.with_suffix(".json").write_text(json.dumps(geometry()))
    done = run(f"reconstruct {path} -o {tmp_path}/v.zarr --center 11.5 --size 24 {QUICK}")
    assert done.exit_code == 0, done.output
    evidence = tmp_path / "v.zarr" / "evidence"
    for k in range(ROWS):
        assert np.abs(np.load(evidence / f"slice-{k + 1:04d}.data.npy") - lines[:, k]).max() < 3e-4
    assert ct.verify(tmp_path / "v.zarr", scan=path)
