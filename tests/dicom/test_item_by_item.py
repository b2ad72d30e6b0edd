"""What is written item by item is what is written at once; what waits on disk keeps no file open."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from ctrecon.dicom.common.hounsfield import HounsfieldScale
from ctrecon.dicom.common.uids import identify
from ctrecon.dicom.series import parametric_map
from ctrecon.dicom.series.ct_image import SeriesPart, describe_image, nameless
from ctrecon.dicom.series.item_by_item import Grown, Items, Spools, canonical
from ctrecon.dicom.series.manifest import entry_of
from ctrecon.dicom.series.parametric_map import misfit_map
from ctrecon.dicom.series.series import image_name
from ctrecon.dicom.series.study import study_of
from ctrecon.geometry.grid import Grid
from ctrecon.outputs.series import SeriesTarget
from ctrecon.outputs.spilled import Spill
from ctrecon.reconstruction.conclude import Conclusion
from tests.dicom_series import GIVEN, dicom_files, results, write

PLACES = {
    "one": (3.0,), "even": (-1.0, 1.5, 4.0), "thirds": tuple(-11.1 + k / 3 for k in range(5)),
    "uneven": (0.0, 1.0, 2.5, 3.0),
}  # fmt: skip


def parts_at(z_mm: Sequence[float]) -> list[SeriesPart]:
    random = np.random.default_rng(3)
    return [
        SeriesPart(
            stored=random.integers(0, 3000, (1, 3, 4), dtype=np.uint16), grid=Grid(rows=3, columns=4), z_mm=(z,),
            certificate=None, residual=1.0, delta=2.0, norm="2-norm", data_sha256="", history=lambda: b"{}",
            misfit=random.normal(size=(1, 3, 4)),
        )
        for z in z_mm
    ]  # fmt: skip


def images_of(parts: Sequence[SeriesPart]) -> list[Dataset]:
    scale = HounsfieldScale(water_mu=0.02, slope=1.0, intercept=-1000.0)
    study, found = study_of(None, {**GIVEN, "StudyInstanceUID": "1.2.3"}), []
    for k, one in enumerate(parts):
        ds = describe_image(
            one, 0, k + 1, len(parts), scale=scale, study=study, frame_of_reference="1.2.4", method="fbp",
            iterative=False, patient_position="HFS",
        )  # fmt: skip
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.5", f"1.2.6.{k + 1}"
        found.append(ds)
    return found


def written(ds: Dataset | Grown, path: Path) -> Dataset:
    """As whoever reads the file sees it."""
    grown = ds if isinstance(ds, Grown) else Grown(ds)
    identify(grown.ds, "1.2.7", "1.2.8")  # type: ignore[arg-type]
    grown.save(path)
    return dcmread(path)


@pytest.mark.parametrize("name", PLACES)
def test_the_map_of_the_residual_is_the_one_that_highdicom_makes_of_all_images(name: str, tmp_path: Path) -> None:
    parts = parts_at(PLACES[name])
    images = images_of(parts)
    study = study_of(None, {**GIVEN, "StudyInstanceUID": "1.2.3"})
    with Spools(tmp_path) as spools:
        ours = misfit_map(images, parts, study=study, spools=spools)
        found = written(ours, tmp_path / "ours.dcm")
        assert b"".join(ours.entry()) == canonical(entry_of(found))
    mapping = found.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    step = float(mapping.RealWorldValueSlope)
    stored = np.stack([np.rint(one.misfit[0] / step) + 32768 for one in parts]).astype(np.uint16)
    whole = hd.pm.ParametricMap(
        source_images=[nameless(image) for image in images], pixel_array=stored, series_instance_uid="1.2.7",
        series_number=1, sop_instance_uid="1.2.8", instance_number=1, manufacturer="ctrecon",
        manufacturer_model_name="ctrecon", software_versions="1", device_serial_number="none",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label="RESIDUAL", lut_explanation=parametric_map.EXPLANATION[:64], unit=codes.UCUM.NoUnits,
                value_range=(0, 65535), slope=step, intercept=-32768 * step,
                quantity_definition=parametric_map.QUANTITY,
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=32768.0, window_width=65536.0)],
    )  # fmt: skip
    theirs = written(whole, tmp_path / "theirs.dcm")
    for keyword in (
        "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "ReferencedSeriesSequence",
        "SourceImageSequence", "PixelData", "NumberOfFrames", "DimensionOrganizationType",
    ):  # fmt: skip
        assert found.get(keyword) == theirs.get(keyword), keyword
    assert (found.get("DimensionOrganizationType") == "3D") == (name in ("even", "thirds"))


def test_what_is_written_item_by_item_is_encoded_as_pydicom_does_it(tmp_path: Path) -> None:
    for path in dicom_files(write(tmp_path / "series")):
        again, ds = BytesIO(), dcmread(path)
        ds.walk(lambda within, element: None)  # every element is read, and so written anew
        ds.save_as(again, enforce_file_format=True)
        assert again.getvalue() == path.read_bytes(), path.name


def test_a_sequence_of_nothing_and_one_within_another(tmp_path: Path) -> None:
    outer, inner = Dataset(), Dataset()
    outer.StudyInstanceUID, inner.PatientName, inner.TextValue = "1.2", "Müller^Žofie", "é" * 201
    with Spools(tmp_path) as spools:
        none, many, one = (Items(spools) for _ in "abc")
        for _ in range(3):
            many.add(inner)
        one.add(outer, {"ContentSequence": many})
        ds = Dataset()
        ds.SpecificCharacterSet, ds.SOPClassUID, ds.PatientID = "ISO_IR 192", "1.2.840.10008.5.1.4.1.1.66", "P"
        grown = Grown(ds, {"ReferencedSeriesSequence": one, "SourceImageSequence": none})
        found = written(grown, tmp_path / "one.dcm")
        names = [item.PatientName for item in found.ReferencedSeriesSequence[0].ContentSequence]
        assert names == [inner.PatientName] * 3
        assert list(found.SourceImageSequence) == []
        assert b"".join(grown.entry()) == canonical(entry_of(found))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.dcm"]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them")
def test_slices_that_wait_on_disk_keep_no_file_open_and_say_the_same(tmp_path: Path) -> None:
    spill, before = Spill(tmp_path), open_files()
    parts = parts_at(PLACES["even"])
    kept = [spill.keep(k, one) for k, one in enumerate(parts)]
    assert open_files() == before
    for there, here in zip(parts, kept, strict=True):
        assert np.array_equal(there.stored, here.stored)
        assert np.array_equal(there.misfit[0], here.misfit[0])
        assert (here.stored.shape, here.stored.dtype) == (there.stored.shape, there.stored.dtype)
        assert here.history is not None
        assert here.history() == b"{}"


class Repeated(Sequence[Conclusion]):
    """One result, again and again."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Conclusion:  # type: ignore[override]
        if place >= self._count:
            raise IndexError(place)
        return results(1)[0]


@pytest.mark.long
def test_the_memory_of_a_series_hardly_grows_with_its_slices(tmp_path: Path) -> None:
    """By its reports and headers it grew by 140 KiB a slice, and by the pixels of the map several times."""

    def most(count: int) -> int:
        waiting = tmp_path / f"waiting-{count}"
        waiting.mkdir()
        target = SeriesTarget(folder=tmp_path / str(count), study=study_of(None, GIVEN), pictures=False)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        target.write_each(
            Repeated(count), method="cgls", z_mm=[2.5 * k for k in range(count)], thickness_mm=2.5,
            spill=Spill(waiting), watch=lambda k, result: None,
        )  # fmt: skip
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        most(2)  # what is loaded once
        few, many = most(8), most(48)
    finally:
        tracemalloc.stop()
    assert (many - few) / 40 < 40 * 1024
    assert len(dcmread(tmp_path / "48" / image_name(48))) > 50
