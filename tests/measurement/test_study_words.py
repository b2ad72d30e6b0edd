"""Patient and study of a scan: DICOM's words that a series can carry, refused where they are said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ctrecon.errors import InputError
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.arrays import read_scan
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.study_words import WORDS

GEOMETRY = ParallelBeam(angles_rad=np.linspace(0, 3, 4), detector_count=5, detector_spacing_mm=1.0)


def test_every_word_that_a_series_carries_is_taken_and_copied() -> None:
    said = dict.fromkeys(WORDS, "x")
    scan = Scan(np.ones((4, 5)), GEOMETRY, study=said)
    assert scan.study == said
    said["PatientID"] = "another"
    assert scan.study["PatientID"] == "x"


@pytest.mark.parametrize(("said", "words"), [
    ({"PatientsName": "A"}, ("'PatientsName'", "PatientName meant")),
    ({"xyz": "A"}, ("'xyz'", "there are StudyDate")),
    ({"PixelData": "A"}, ("'PixelData'",)),
    ({7: "A"}, ("'7'",)),
    ({"PatientID": 7}, ("PatientID", "must be a text, got int")),
    ({"PatientID": None}, ("PatientID", "must be a text, got NoneType")),
    ([("PatientID", "7")], ("must map", "got list")),
])  # fmt: skip
def test_other_words_are_refused_at_construction(said: object, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as why:
        Scan(np.ones((4, 5)), GEOMETRY, study=said)  # type: ignore[arg-type]
    assert all(word in str(why.value) for word in words), why.value


def test_a_file_that_says_other_words_is_refused_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.ones((4, 5)))
    (tmp_path / "s.json").write_text(json.dumps({
        "geometry": "parallel", "angles_deg": [0, 45, 90, 135], "detector_spacing_mm": 1,
        "scan": {"study": {"PatientNam": "A"}},
    }))  # fmt: skip
    with pytest.raises(InputError, match=r"PatientNam.*PatientName meant"):
        read_scan(tmp_path / "s.npy")
