"""What a scanner's file says in words of its sample or its operator does not travel: no scan has it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import scanner_scans
import tifffile

from ctrecon.io.arrays import read_scan
from ctrecon.io.facts import facts_of
from ctrecon.measurement.scan import Scan

NAME = "Zqmarkxv"


def _hdf5(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        found = ["/"]
        file.visit(found.append)
        for name in found:
            file[name].attrs["description"] = file[name].attrs["sample_name"] = NAME
        file["entry_user/name"] = np.bytes_(NAME)
        for group in [name for name in found if isinstance(file[name], h5py.Group)]:
            file[group]["title"] = NAME


def _tiff(path: Path) -> None:
    values = tifffile.imread(path)
    tags = [(315, "s", 0, NAME, True), (316, "s", 0, NAME, True)]  # artist, host
    tifffile.imwrite(path, values, description=NAME, software=NAME, extratags=tags)


def _lines(path: Path) -> None:
    path.write_text(path.read_text() + f"\nOperator={NAME}\nOperatorID={NAME}\nSample={NAME}\n")


def _xml(path: Path) -> None:
    raw = path.read_text()
    at = raw.index(">", raw.index("<", raw.index("?>") + 2 if "?>" in raw else 0)) + 1
    path.write_text(raw[:at] + f"<!-- {NAME} -->" + raw[at:])


def _mha(path: Path) -> None:
    said = f"Comment = {NAME}\nElementSpacing".encode()
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing", said, 1))


def _edf(path: Path) -> None:
    raw = path.read_bytes()
    more = f"title = {NAME} ;\nuser = {NAME} ;\n".encode()
    path.write_bytes(raw[:1022].rstrip().ljust(1022 - len(more)) + more + raw[1022:])


WRITE = {".nxs": _hdf5, ".tif": _tiff, ".xtekct": _lines, ".info": _lines, ".xml": _xml, ".mha": _mha, ".edf": _edf}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[Path]]]:
    return scanner_scans.scans(tmp_path_factory.mktemp("texts"))


@pytest.mark.parametrize("kind", ["tiff", "nikon", "rtk", "nxtomo", "cil", "edf", "walnut", "xvi", "true beam"])
def test_no_text_of_a_file_is_kept(kind: str, scans: dict[str, tuple[Path, list[Path]]]) -> None:
    given, files = scans[kind]
    written = 0
    for path in files:
        if path.suffix in WRITE:
            WRITE[path.suffix](path)
            written += NAME.encode() in path.read_bytes()
    assert written
    all_rows = kind == "walnut"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan = read_scan(given, center=None if all_rows else 11.5, all_rows=all_rows)
    assert isinstance(scan, Scan)
    assert NAME not in json.dumps(facts_of(scan)) + repr(scan) + scan.source
