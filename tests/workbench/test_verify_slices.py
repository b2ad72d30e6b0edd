"""A series and a stack against their scan: every slice is read again as its own history, or the manifest, says."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from stacks import npy_stack

import ctrecon as ct
from ctrecon.dicom.series.study import study_of
from ctrecon.errors import SettingError
from ctrecon.outputs.history import read_history
from ctrecon.outputs.series import SeriesTarget
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.stack.reconstruct import reconstruct_stack
from ctrecon.workbench.stack.series import reconstruct_series

ASKED = Settings(method="fbp", delta="30%", every=2, center=12.0, correct="rings", size=16)
ROWS = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A scan of three rows; a series and a stack of it, of every other view, with an axis given and rings corrected."""
    folder = tmp_path_factory.mktemp("slices")
    scan = npy_stack(folder, rows=ROWS)
    target = SeriesTarget(
        folder=folder / "series", study=study_of(None, {}), pictures=False, water_mu=0.02, patient_position="HFS"
    )
    done = reconstruct_series(scan, target, ASKED)
    assert done.certified == ROWS
    assert reconstruct_stack(scan, folder / "v.zarr", ASKED).certified == ROWS
    return folder


def tampered(folder, to, row):
    """The same scan with one ray of ``row`` changed by a thousandth of the largest value."""
    values = np.load(folder / "scan.npy")
    values[4, row, 11] += 1e-3 * np.abs(values).max()
    np.save(to / "scan.npy", values)
    shutil.copy(folder / "scan.json", to / "scan.json")
    return to / "scan.npy"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["series", "v.zarr"])
def test_each_slice_is_read_again_as_it_was_reconstructed(made, tmp_path, name):
    found = ct.verify(made / name, scan=made / "scan.npy")
    assert found, str(found)
    assert "data and geometry are those of scan.npy, value by value" in str(found)
    heard = []
    other = tampered(made, tmp_path, row=1)
    assert not ct.verify(made / name, scan=other, watch=heard.append)
    bad = [one for one in heard if not one and one.path.name.startswith(("ct-", "slice-"))]
    assert len(bad) == 1, [one.reason for one in bad]  # one slice is of another scan, and no other is suspected
    assert "data differ from the scan's" in bad[0].reason
    assert not ct.verify(made / name, scan=made / "scan.npy", center=12.01)  # what is given comes first


def test_histories_decide_slice_by_slice(made, tmp_path):
    series = tmp_path / "series"
    shutil.copytree(made / "series", series)
    second = series / "certificates" / "slice-0002.history.json"
    told = read_history(second)
    second.write_bytes(dataclasses.replace(told, settings={**told.settings, "center": 11.0}).to_bytes())
    heard = []
    assert not ct.verify(series, scan=made / "scan.npy", watch=heard.append)
    assert [one.path.name for one in heard if not one and one.path.name.startswith("ct-")] == ["ct-0002.dcm"]
    # Without any, what was not recorded is to be given.
    for path in series.glob("certificates/*.history.json"):
        path.unlink()
    assert not ct.verify(series, scan=made / "scan.npy")
    assert ct.verify(series, scan=made / "scan.npy", center=12.0, every=2, correct="rings")


def test_a_geometry_from_a_file_is_given_again(made, tmp_path):
    series = tmp_path / "series"
    shutil.copytree(made / "series", series)
    first = series / "certificates" / "slice-0001.history.json"
    values = json.loads(first.read_text())
    values["settings"]["geometry"] = "/etc/passwd"
    first.write_text(json.dumps(values))
    with pytest.raises(SettingError, match="name the one to trust with --geometry"):
        ct.verify(series, scan=made / "scan.npy")
    given = {"scan": made / "scan.npy", "geometry": str(Path(made / "scan.json"))}
    assert ct.verify(series, pixels_only=True, **given)
    assert not ct.verify(series, **given), "a history that was changed is refused, whatever is given in its place"
