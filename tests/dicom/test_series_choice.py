"""Which series is meant, which values are HU, and which keys a search may ask for."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import UIDS, ct, save

from ctrecon.cli.main import cli
from ctrecon.dicom.common.hounsfield import rescale_type
from ctrecon.dicom.images.images import Choice, read_volume
from ctrecon.dicom.network.query_keys import check_match
from ctrecon.errors import InputError, SettingError
from ctrecon.io.pictures import read_picture


def test_a_series_is_found_by_its_number_however_written_and_by_its_uid(tmp_path):
    folder = save(
        tmp_path / "in",
        *(ct(k, SeriesNumber="000005", SeriesInstanceUID=f"{UIDS}.5") for k in range(2)),
        *(ct(k, SeriesNumber="5", SeriesInstanceUID=f"{UIDS}.6") for k in range(3)),
        *(ct(k, SeriesNumber="", SeriesInstanceUID=f"{UIDS}.7") for k in range(4)),
    )
    assert len(read_volume(folder, choice=Choice(uid=f"{UIDS}.6")).hu) == 3
    assert len(read_volume(folder, choice=Choice(number=5, uid=f"{UIDS}.5")).hu) == 2
    with pytest.raises(InputError, match=rf"--series-uid one of {UIDS}\.5, {UIDS}\.6"):
        read_volume(folder, choice=Choice(number=5))
    with pytest.raises(InputError, match=r"no CT slices of series 6 .*the numbers \(none\), 000005, 5"):
        read_volume(folder, choice=Choice(number=6))
    for k in range(2, 5):
        (folder / f"{k:03d}.dcm").unlink()
    assert len(read_volume(folder, choice=Choice(number=5)).hu) == 2


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Houndsfield Unit", "HU"), ("hu", "HU"), ("Hounsfield Units", "HU"), ("HOUNSFIELD", "HU"), ("Hu ", "HU"),
        ("Hounsfield", "HU"), ("houndfield units", "HU"), ("H.U.", "HU"), ("hounsfield_unit", "HU"),
        ("HU_MOD", "HU_MOD"), ("OD", "OD"), ("US", "US"), ("humidity", "humidity"), ("Z_EFF", "Z_EFF"), ("", ""),
    ],
)  # fmt: skip
def test_spellings_of_hounsfield_units(text, meant):
    assert rescale_type(text) == meant


def test_other_types_are_refused_unless_insisted_on(tmp_path):
    odd = save(tmp_path / "odd", *(ct(k, RescaleType="Houndsfield Unit") for k in range(2)))
    volume = read_volume(odd)
    assert any("Houndsfield Unit" in note and "taken for HU" in note for note in volume.notes)
    plain = read_volume(save(tmp_path / "plain", *(ct(k, RescaleType="HU") for k in range(2))))
    assert not any("RescaleType" in note for note in plain.notes)
    np.testing.assert_array_equal(volume.hu, plain.hu)
    unspecified = read_volume(save(tmp_path / "unspecified", *(ct(k, RescaleType="US") for k in range(2))))
    assert any("'US' (RescaleType), taken for HU" in note for note in unspecified.notes)
    other = save(tmp_path / "other", *(ct(k, RescaleType="Z_EFF") for k in range(2)))
    with pytest.raises(InputError, match="--insist-hu"):
        read_volume(other)
    insisted = read_volume(other, choice=Choice(insist_hu=True))
    assert any("as --insist-hu asks" in note for note in insisted.notes)


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"StudyDate": "2024-01-01"}, "such as 20240101"), ({"StudyDate": "20240230"}, "no date"),
        ({"StudyDate": "20240201-20240101"}, "ends before"), ({"StudyDate": "-"}, "no date"),
        ({"StudyInstanceUID": "1.2.x"}, "no UID"), ({"StudyInstanceUID": "1." * 40 + "1"}, "no UID"),
        ({"ModalitiesInStudy": "ct"}, "capitals"), ({"AccessionNumber": "1" * 17}, "at most 16"),
        ({"PatientID": "a\\b"}, "backslash"), ({"PatientName": "a\nb"}, "printed"),
        ({"PatientName": "a=b=c=d"}, "at most 3"), ({"PatientName": "b=" + "a" * 65}, "at most 64"),
    ],
)  # fmt: skip
def test_keys_that_no_node_can_match(match, said):
    with pytest.raises(SettingError, match=said):
        check_match(match)


def test_keys_that_can():
    check_match({"StudyDate": "20240101"})
    for value in ("20240101-", "-20240101", "20231231-20240101"):
        check_match({"StudyDate": value})
    check_match({"StudyInstanceUID": "1.2\\1.3", "ModalitiesInStudy": "CT"})
    check_match({"PatientName": "MUS*^E?", "PatientID": "x y"})
    result = CliRunner().invoke(cli, ["dicom", "find", "--from", "A@localhost:1", "--date", "2024-01-01"])
    assert result.exit_code == 2
    assert "write YYYYMMDD" in result.output


@pytest.mark.parametrize(
    "asked", ["find --study 1.02.3", "find --modality C*", "find --patient-name M*=B", "get 1.02.3 --series 1.02 -o x"]
)
def test_unusual_keys_are_asked_for_without_a_warning(asked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = CliRunner().invoke(cli, ["dicom", *asked.split(), "--from", "A@localhost:1", "--retries", "0"])
    assert "cannot be reached" in f"{result.output}{result.exception}"
    assert not [one for one in said if one.category is UserWarning]


def test_dicom_without_a_suffix_is_read_for_superresolution(tmp_path):
    save(tmp_path / "a.dcm", ct(0)).rename(tmp_path / "IM0001")
    assert read_picture(tmp_path / "IM0001").levels.shape == (12, 16)
    (tmp_path / "b").write_bytes(b"short")
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_picture(tmp_path / "b")
