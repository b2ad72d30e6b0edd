"""A series is what its manifest lists: every attribute of every object changed is refused, or may be an archive's."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dicom_series import dicom_files, write
from pydicom import DataElement, config, dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from ctrecon.certificates.verify import Refused
from ctrecon.cli.main import cli
from ctrecon.dicom.common.private import CREATOR, GROUP
from ctrecon.dicom.series.coerced import COERCIBLE
from ctrecon.dicom.series.manifest import manifest_bytes, read_manifest
from ctrecon.dicom.series.manifest_check import Manifest, manifest_in


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dicom") / "series")


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def change(path: Path, what: Callable[[Dataset], object]) -> None:
    with config.disable_value_validation():
        ds = dcmread(path)
        what(ds)
        ds.save_as(path)


def verify(*args: object) -> Result:
    return CliRunner().invoke(cli, ["verify", *(str(arg) for arg in args)], catch_exceptions=False)


def other_value(element: DataElement) -> Any:
    """A value that means something else."""
    value = element.value
    if element.VR in ("DS", "FD", "FL"):
        numbers = list(value) if element.VM > 1 else [value]
        return [float(numbers[0] or 0) * 1.001 + 0.001, *map(float, numbers[1:])] if numbers else [1.5]
    if element.VR in ("US", "IS", "UL", "SS", "SL"):
        return [int(v) ^ 1 for v in value] if element.VM > 1 else int(value or 0) ^ 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1, *value[1:]]) if value else b"\1\0"
    if element.VR == "AT":
        return 0x00100010
    if element.VR == "UI":
        return "1.2.3.4"
    if element.VR in ("DA", "TM", "DT"):
        return "111111" if element.VR == "TM" else "20200202"
    return "CHANGED"


def every_place(ds: Dataset, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Each element of a dataset, also within its items, as the way to it."""
    found = []
    for element in ds:
        found.append((*path, element.tag))
        if element.VR == "SQ":
            for k, item in enumerate(element.value):
                found += every_place(item, (*path, element.tag, k))
    return found


def at(ds: Dataset, place: tuple[Any, ...]) -> Dataset:
    for step in range(0, len(place) - 1, 2):
        ds = ds[place[step]].value[place[step + 1]]
    return ds


CHANGED_BY_OTHERS = ("SOPClassUID", "SOPInstanceUID")  # an object that is another one is not in the list


def looked_at(listed: Manifest, ds: Dataset) -> str:
    """Refused and why, ``coerced``, or empty where nothing was noticed."""
    manifest = dataclasses.replace(listed, coerced=set())
    try:
        manifest.check(ds)
    except Refused as why:
        return str(why)
    except Exception as why:
        return f"malformed {why}"
    return "coerced" if manifest.coerced else ""


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "name", ["ct-0002.dcm", "report.dcm", "report-pdf.dcm", "residual.dcm", "certificate-0002.dcm"]
)
def test_every_attribute_that_is_changed_or_taken_out_is_refused_or_an_archives(series: Path, name: str) -> None:
    """By introspection, over every element of an object at any depth. What pixels decode to, certificates say."""
    path = series / "manifest.dcm"
    manifest = manifest_in([(path, dcmread(path))])
    assert manifest is not None
    ds = dcmread(series / name)
    places, unnoticed, tried = every_place(ds), [], 0
    assert len(places) > 40
    for place in places:
        archives = any(part_tag in COERCIBLE for part_tag in keywords(ds, place))
        for how in ("changed", "taken out"):
            part = at(ds, place)
            element = part[place[-1]]
            own = element.tag.is_private
            if own and element.tag.is_private_creator and how == "changed":
                continue
            if element.keyword == "PixelData" and name.startswith("ct"):
                continue  # compared with the certificate, bit for bit: test_dicom_verify.py
            if own and name.startswith("certificate"):
                continue  # compared by the hash in its image: test_dicom_verify.py
            if how == "taken out" and element.is_empty:
                continue
            before = element.value
            with config.disable_value_validation():
                if how == "taken out":
                    del part[place[-1]]
                else:
                    element.value = (
                        Sequence([*before, Dataset()]) if element.VR == "SQ" else other_value(element)
                    )
                said = looked_at(manifest, ds)
                element.value = before
                part[place[-1]] = element
            tried += 1
            if archives != (said in ("", "coerced")):
                unnoticed.append((how, place, element.keyword, said))
            if archives and len(place) == 1 and element.keyword != "SpecificCharacterSet" and said != "coerced":
                unnoticed.append((how, place, element.keyword, "a change of an archive's was not noticed"))
    assert unnoticed == []
    assert tried > 60
    assert looked_at(manifest, ds) == "", "all that was changed is as it was"


def keywords(ds: Dataset, place: tuple[Any, ...]) -> list[str]:
    return [at(ds, place[: k + 1])[place[k]].keyword for k in range(0, len(place), 2)]


def overlay(ds: Dataset) -> None:
    for offset, vr, value in (
        (0x10, "US", 40), (0x11, "US", 56), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 1), (0x102, "US", 0),
        (0x3000, "OW", bytes(280)),
    ):  # fmt: skip
        ds.add_new(0x60000000 | offset, vr, value)


def lut(ds: Dataset) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4, 0, 16])
    item.add_new("LUTData", "US", [0, 9, 99, 999])
    ds.VOILUTSequence = Sequence([item])


def inverted(ds: Dataset) -> None:
    ds.PhotometricInterpretation = "MONOCHROME1"


def hidden(ds: Dataset) -> None:
    ds.add_new("PixelPaddingValue", "US", 0)
    ds.add_new("PixelPaddingRangeLimit", "US", 30000)


def better(ds: Dataset) -> None:
    for item in ds.ContentSequence:
        for part in item.get("ContentSequence", ()):
            if "MeasuredValueSequence" in part:
                part.MeasuredValueSequence[0].NumericValue = "1e-06"


def approved(ds: Dataset) -> None:
    ds.ContentSequence[-1].TextValue = "Approved for primary diagnosis"


def replaced(ds: Dataset) -> None:
    ds.EncapsulatedDocument = b"%PDF-1.4 all is well " + b"\0" * 11


def blank(ds: Dataset) -> None:
    ds.PixelData = np.full(len(ds.PixelData) // 2, 32768, "<u2").tobytes()


def scaled(series: Path) -> None:
    for path in series.glob("ct-*.dcm"):
        change(path, lambda ds: setattr(ds, "ImagePositionPatient", [*ds.ImagePositionPatient[:2],
                                                                     float(ds.ImagePositionPatient[2]) * 2]))


def exchanged(series: Path) -> None:
    """Two slices change place, number and all that ties them, as somebody would who knows what is looked at."""
    one, two = dcmread(series / "ct-0001.dcm"), dcmread(series / "ct-0002.dcm")
    for keyword in ("ImagePositionPatient", "SliceLocation", "InstanceNumber"):
        a, b = one[keyword].value, two[keyword].value
        setattr(one, keyword, b)
        setattr(two, keyword, a)
    one.save_as(series / "ct-0001.dcm")
    two.save_as(series / "ct-0002.dcm")
    swap = [p for k in (1, 2) for p in (series / "certificates").glob(f"slice-000{k}.*")]
    for path in swap:
        path.rename(path.with_name("x" + path.name))
    for path in swap:
        k = {"1": "2", "2": "1"}[path.name[9]]
        path.with_name("x" + path.name).rename(path.with_name(path.name[:9] + k + path.name[10:]))


def last_dropped(series: Path) -> None:
    (series / "ct-0003.dcm").unlink()
    (series / "certificate-0003.dcm").unlink()
    for path in series.glob("ct-*.dcm"):
        change(path, lambda ds: setattr(ds, "ImagesInAcquisition", 2))


def of(name: str, what: Callable[[Dataset], object]) -> Callable[[Path], object]:
    return lambda series: change(series / name, what)


MANIPULATIONS = {
    "slices exchanged": (exchanged, "ImagePositionPatient"),
    "z scaled": (scaled, "ImagePositionPatient"),
    "an overlay": (of("ct-0001.dcm", overlay), "(6000,"),
    "inverted": (of("ct-0002.dcm", inverted), "PhotometricInterpretation is 'MONOCHROME1', not 'MONOCHROME2'"),
    "tissue hidden": (of("ct-0001.dcm", hidden), "PixelPaddingValue was added"),
    "a lookup table": (of("ct-0001.dcm", lut), "VOILUTSequence was added"),
    "a window": (of("ct-0001.dcm", lambda ds: setattr(ds, "WindowCenter", [9] * 4)), "WindowCenter is"),
    "better numbers": (of("report.dcm", better), "NumericValue is '1e-06', not"),
    "approved": (of("report.dcm", approved), "TextValue is 'Approved for primary diagnosis', not"),
    "another PDF": (of("report-pdf.dcm", replaced), "EncapsulatedDocument is another text"),
    "a blank map": (of("residual.dcm", blank), "its pixels are not those of the manifest"),
    "the last slice dropped": (last_dropped, "manifest"),
    "no manifest": (lambda series: (series / "manifest.dcm").unlink(), "the manifest of the series is missing"),
    "no report": (lambda series: (series / "report.dcm").unlink(), "1 objects that the manifest lists are missing"),
    "no map": (lambda series: (series / "residual.dcm").unlink(), "1 objects that the manifest lists are missing"),
    "a comment": (of("ct-0001.dcm", lambda ds: setattr(ds, "ImageComments", "Fine")), "ImageComments is 'Fine'"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", MANIPULATIONS)
def test_manipulations_are_refused(series: Path, name: str) -> None:
    what, said = MANIPULATIONS[name]
    what(series)
    result = verify(series)
    assert result.exit_code == 1, result.output
    assert said in result.output
    assert result.output.splitlines()[-1].startswith("REFUSED")


def test_what_an_archive_may_change_is_listed_and_refused_where_it_is_asked(series: Path) -> None:
    for path in dicom_files(series):
        change(path, lambda ds: (setattr(ds, "PatientName", "Other^Name"), setattr(ds, "InstitutionName", "Clinic")))
    change(series / "ct-0001.dcm", lambda ds: setattr(ds, "AccessionNumber", "A-1"))
    result = verify(series)
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert "changed since it was written, as an archive may: AccessionNumber, InstitutionName, PatientName" in last
    facts = CliRunner().invoke(cli, ["verify", str(series), "--json"]).output.splitlines()[-1]
    assert '"coerced": ["AccessionNumber", "InstitutionName", "PatientName"]' in facts
    strict = verify(series, "--strict")
    assert strict.exit_code == 1
    assert "AccessionNumber, InstitutionName, PatientName (--strict)" in strict.output.splitlines()[-1]


def test_the_manifest_names_nobody_and_holds_what_it_should(series: Path) -> None:
    ds = dcmread(series / "manifest.dcm")
    raw = manifest_bytes(ds)
    assert b"P-17" not in raw
    assert "Müller".encode() not in raw
    values = read_manifest(raw)
    assert [one["z_mm"] for one in values["slices"]] == [-12.5, -10.0, -7.5]
    assert len(values["objects"]) == 9
    for broken in (raw[:-1], raw.replace(b'":', b'": ', 1), b"[" * 5000, b"\xff"):
        with pytest.raises(Refused, match="the manifest is damaged"):
            read_manifest(broken)


def test_another_encoding_is_the_same_series(series: Path, tmp_path: Path) -> None:
    back = tmp_path / "back"
    back.mkdir()
    for k, path in enumerate(dicom_files(series)):
        ds = dcmread(path)
        if path.name in ("ct-0001.dcm", "residual.dcm"):
            ds.compress(RLELossless, generate_instance_uid=False)
            ds.save_as(back / f"IM{k}")
        else:
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            ds.save_as(back / f"IM{k}", implicit_vr=True, little_endian=True)
    result = verify(back, "--strict")
    assert result.exit_code == 0, result.output


@pytest.mark.long
def test_the_map_is_computed_again(series: Path) -> None:
    """Also where the manifest was made to fit, or is left out."""
    (series / "manifest.dcm").unlink()

    def frames(ds: Dataset, order: Callable[[Any], Any]) -> None:
        ds.PixelData = np.ascontiguousarray(order(ds.pixel_array)).astype("<u2").tobytes()

    for order in (lambda f: f * 0 + 32768, lambda f: f[::-1], lambda f: f[:, :, ::-1], lambda f: 65535 - f):
        shutil.copy(series / "residual.dcm", series / "kept")
        change(series / "residual.dcm", lambda ds, order=order: frames(ds, order))
        result = verify(series, "--pixels-only")
        assert result.exit_code == 1
        assert "is not what its image leaves of the data" in result.output
        shutil.move(series / "kept", series / "residual.dcm")
    assert verify(series, "--pixels-only").exit_code == 0


def test_without_the_manifest_pixels_can_be_checked(series: Path) -> None:
    (series / "manifest.dcm").unlink()
    result = verify(series, "--pixels-only")
    assert result.exit_code == 0, result.output
    assert "headers and reports were not looked at" in result.output.splitlines()[-1]
    assert verify(series / "certificates" / "slice-0001.certificate.json", "--strict").exit_code == 2
    assert (GROUP, CREATOR) == (0x71, "CTRECON")
