"""Certificates written from Python replace nothing that is there, as everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.certificates.feasible import FeasibleCertificate, certify
from ctrecon.errors import OutputError


@pytest.fixture(scope="module")
def certificate() -> FeasibleCertificate:
    beam = ct.ParallelBeam(angles_rad=(0.0, 1.0), detector_count=6)
    made = certify(np.zeros((6, 6), np.float32), np.ones((2, 6), np.float32), beam, ct.Grid(rows=6, columns=6), 9.0)
    assert isinstance(made, FeasibleCertificate)
    return made


@pytest.mark.parametrize("there", ["u.npy", "u.certificate.json", "u.data.npy"])
def test_what_is_there_stays(certificate: FeasibleCertificate, there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputError, match="is there already; add --overwrite"):
        certificate.write(tmp_path / "u.npy")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"
    certificate.write(tmp_path / "u.npy", overwrite=True)
    assert ct.verify(tmp_path / "u.certificate.json")
