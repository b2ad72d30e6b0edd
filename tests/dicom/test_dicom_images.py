"""CT series become volumes: every transfer syntax, every order, every way of saying the same."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_files import COLUMNS, ROWS, change, ct, enhanced, save, stored, to_bytes
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from ctrecon.dicom.images.images import Choice, attenuation, read_ct_slice, read_grey_slice, read_volume
from ctrecon.errors import InputError


def series(tmp_path: Path, count: int = 4, **changes) -> Path:
    return save(tmp_path / "series", *(ct(k, **changes) for k in range(count)))


def test_a_series_is_sorted_by_position_and_knows_where_it_lies(tmp_path):
    folder = save(tmp_path / "series", *(ct(k) for k in (2, 0, 3, 1)))
    volume = read_volume(folder)
    assert volume.hu.dtype == np.float32
    np.testing.assert_array_equal(volume.hu, np.stack([stored(k) for k in range(4)]).astype(np.float32) - 1024)
    assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.8))
    np.testing.assert_allclose(volume.affine @ [3, 2, 1, 1], [-10 + 3 * 0.8, -20 + 2 * 0.8, 32.5, 1])
    assert not volume.padding.any()
    assert not volume.notes


def test_oblique_slices_lie_where_simpleitk_finds_them(tmp_path):
    row, column = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, -0.8])
    normal = np.cross(row, column)
    folder = save(tmp_path / "series", *(
        ct(k, ImageOrientationPatient=[*row, *column], PixelSpacing=[0.7, 0.7],
           ImagePositionPatient=[float(v) for v in np.round(np.array([5, -7, 11]) + 1.25 * k * normal, 6)])
        for k in (1, 2, 0)
    ))  # fmt: skip
    volume = read_volume(folder)
    names = [str(folder / f"{k:03d}.dcm") for k in (2, 0, 1)]
    image = SimpleITK.ReadImage(names)
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(image), volume.hu, atol=1e-3)
    for index in ((0, 0, 0), (5, 2, 1), (15, 11, 2)):
        point = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((volume.affine @ [*index, 1])[:3], point, atol=1e-4)
    assert np.abs(volume.affine[:3, 3] - 1).max() > 1e-3  # the comparison would notice


def test_archives_and_other_files_among_the_slices(tmp_path):
    folder = series(tmp_path)
    (folder / "notes.txt").write_text("not a picture")
    scout = ct(9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    (folder / "scout.dcm").write_bytes(to_bytes(scout))
    report = ct(8, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", Modality="SR", PixelData=None)
    (folder / "dose.dcm").write_bytes(to_bytes(report))
    volume = read_volume(folder)
    assert len(volume.hu) == 4
    assert "2 files" in volume.notes[0]
    assert "1 localizer" in volume.notes[1]
    other = ct(8, SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR")
    assert "1 images" in read_volume(save(tmp_path / "mixed", ct(0), other)).notes[0]
    with pytest.raises(InputError, match="is no CT image"):
        read_volume(save(tmp_path / "other.dcm", other))
    with zipfile.ZipFile(tmp_path / "series.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, f"study/{path.name}")
    np.testing.assert_array_equal(read_volume(tmp_path / "series.zip").hu, volume.hu)


def test_one_of_several_series_is_chosen_by_its_number(tmp_path):
    others = (ct(k, SeriesInstanceUID="1.2.3", SeriesNumber="8", RescaleIntercept="0") for k in range(2))
    folder = save(tmp_path / "both", *(ct(k) for k in range(3)), *others)
    with pytest.raises(InputError, match="2 series, with the numbers 3, 8; give one of them with --series"):
        read_volume(folder)
    assert len(read_volume(folder, choice=Choice(number=3)).hu) == 3
    assert read_volume(folder, choice=Choice(number=8)).hu[0, 0, 0] == 900
    with pytest.raises(InputError, match="no CT slices of series 5"):
        read_volume(folder, choice=Choice(number=5))


def test_an_enhanced_file_is_the_same_volume(tmp_path):
    volume = read_volume(save(tmp_path / "multi.dcm", enhanced(order=(2, 0, 1))))
    for k in range(3):
        np.testing.assert_array_equal(volume.hu[k], stored(k).astype(np.float32) * (k + 1) - 1024)
    np.testing.assert_allclose(volume.affine[:3, 3], [-10, -20, 30])
    assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.8))


def test_a_file_that_highdicom_converted_is_the_same_volume(tmp_path):
    slices = [ct(k, RescaleIntercept=str(-1024 + 10 * k)) for k in range(3)]
    folder = save(tmp_path / "series", *slices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = LegacyConvertedEnhancedCTImage(
            slices, series_instance_uid="1.2.3", series_number=9, sop_instance_uid="1.2.4", instance_number=1
        )
    converted.save_as(tmp_path / "legacy.dcm")
    classic, multi = read_volume(folder), read_volume(tmp_path / "legacy.dcm")
    np.testing.assert_array_equal(classic.hu, multi.hu)
    np.testing.assert_allclose(classic.affine, multi.affine)


def test_every_slice_has_its_own_rescale(tmp_path):
    folder = save(tmp_path / "series", ct(0), ct(1, RescaleSlope="0.5", RescaleIntercept="-24"))
    np.testing.assert_array_equal(read_volume(folder).hu[1], stored(1) * np.float32(0.5) - 24)


def test_monochrome1_does_not_turn_hounsfield_units_around(tmp_path):
    plain, turned = ct(0), ct(0, PhotometricInterpretation="MONOCHROME1")
    a, b = read_volume(save(tmp_path / "a.dcm", plain)), read_volume(save(tmp_path / "b.dcm", turned))
    np.testing.assert_array_equal(a.hu, b.hu)
    assert any("MONOCHROME1" in note for note in b.notes)


def test_padding_is_masked_and_counted(tmp_path):
    pixels = stored()
    pixels[:2, :5] = -2000
    pixels[3, 3] = -1990
    volume = read_volume(save(tmp_path / "a.dcm", ct(0, pixels, PixelPaddingValue=-2000)))
    assert volume.padding.sum() == 10
    assert (volume.hu[volume.padding] == -1000).all()
    assert any(note.startswith("10 voxels are padding") for note in volume.notes)
    assert any(note.startswith("1 voxels are below") for note in volume.notes)
    ranged = ct(0, pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)
    assert read_volume(save(tmp_path / "b.dcm", ranged)).padding.sum() == 11
    # The same bits declared without sign.
    unsigned = ct(0, pixels)
    unsigned.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert read_volume(save(tmp_path / "c.dcm", unsigned)).padding.sum() == 10


@pytest.mark.parametrize("signed", [0, 1])
def test_dirty_high_bits_are_not_part_of_a_value(tmp_path, signed):
    clean = stored() - (1200 if signed else 0)
    dirty = ((clean & 0x0FFF) | np.random.default_rng(0).integers(0, 16, clean.shape) << 12).astype(np.uint16)
    assert (dirty >> 12).any()
    ds = ct(0, dirty, BitsStored=12, HighBit=11, PixelRepresentation=signed, RescaleIntercept="0")
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.dcm", ds)).hu[0], clean)


@pytest.mark.parametrize("allocated", [8, 32])
def test_other_pixel_sizes(tmp_path, allocated):
    kind = {8: np.uint8, 32: np.int32}[allocated]
    pixels = stored().astype(np.int64).astype(kind)
    ds = ct(0, pixels, BitsAllocated=allocated, BitsStored=allocated, HighBit=allocated - 1,
            PixelRepresentation=int(allocated == 32))  # fmt: skip
    np.testing.assert_array_equal(read_volume(save(tmp_path / "a.dcm", ds)).hu[0], pixels.astype(np.float64) - 1024)


def test_big_endian_and_run_lengths(tmp_path):
    little = ct(0)
    expected = stored() - 1024
    big = ct(0, stored().astype(">i2"))
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    path = tmp_path / "big.dcm"
    pydicom.dcmwrite(path, big, little_endian=False, implicit_vr=False, enforce_file_format=True)
    np.testing.assert_array_equal(read_volume(path).hu[0], expected)
    little.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read_volume(save(tmp_path / "rle.dcm", little)).hu[0], expected)


def test_a_tilted_gantry_shears_the_affine_and_changes_no_pixel(tmp_path):
    angle = np.radians(18.5)
    tilted = [1, 0, 0, 0, round(float(np.cos(angle)), 7), round(float(-np.sin(angle)), 7)]
    volume = read_volume(series(tmp_path, ImageOrientationPatient=tilted))
    assert any("tilted by 18.5 degrees" in note for note in volume.notes)
    np.testing.assert_array_equal(volume.hu[1], stored(1) - 1024)
    # The slices stay where their files say: straight above one another, 2.5 mm.
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 2.5], atol=1e-9)
    assert volume.spacing_mm[0] == pytest.approx(2.5 * np.cos(angle), abs=1e-6)


def test_a_single_slice_needs_a_thickness_only_for_its_own(tmp_path):
    assert read_volume(save(tmp_path / "a.dcm", ct(0))).spacing_mm[0] == 2.5
    thin = read_volume(save(tmp_path / "b.dcm", ct(0, SliceThickness=None)))
    assert thin.spacing_mm[0] == 1
    assert "1 mm thick" in thin.notes[0]


def test_grey_slices_of_any_modality_for_pictures(tmp_path):
    ds = ct(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.4", Modality="MR", RescaleSlope=None, RescaleIntercept=None)
    path = save(tmp_path / "mr.dcm", ds)
    found = read_grey_slice(path)
    np.testing.assert_array_equal(found.values, stored())
    assert found.spacing_mm == (0.8, 0.8)
    with pytest.raises(InputError, match="no RescaleSlope"):
        read_ct_slice(path)
    with pytest.raises(InputError, match="3 frames; give a file of one slice"):
        read_grey_slice(save(tmp_path / "multi.dcm", enhanced()))


def test_attenuation_of_air_and_water():
    np.testing.assert_allclose(attenuation(np.array([-3024.0, -1000, 0, 1000])), [0, 0, 0.02, 0.04])


LOSSLESS = ("BigEndian", "Deflated", "JPEG2000LosslessOnly", "JPEGLSLossless", "JPEGProcess14", "LittleEndian", "RLE")
LOSSY = {"JPEG2000Transfer": 6, "JPEGLSLossy": 2, "JPEGProcess1T": 65, "JPEGProcess2_4": 36, "JPEGProcess6_8": 36,
         "JPEGProcess10_12": 36}  # fmt: skip


def test_all_transfer_syntaxes_give_the_same_picture(data_dir):
    folder = data_dir / "dicom" / "transfer_syntaxes"
    plain = read_volume(folder / "CTImage.dcm")
    names = sorted(path.name for path in folder.glob("CTImage.dcm_*"))
    assert len(names) == 15
    for name in names:
        volume = read_volume(folder / name)
        kind = name.removeprefix("CTImage.dcm_")
        error = float(np.abs(volume.hu - plain.hu).max())
        if kind.startswith(LOSSLESS):
            assert error == 0, name
        else:
            assert 0 < error < next(most for start, most in LOSSY.items() if kind.startswith(start)), name
        np.testing.assert_array_equal(volume.affine, plain.affine)
    # The progressive ones, which pydicom itself does not read, hold what the sequential one does.
    of = {kind: read_volume(next(folder.glob(f"*{kind}*"))).hu for kind in ("Process2_4", "Process6_8", "Process10_12")}
    np.testing.assert_array_equal(of["Process2_4"], of["Process6_8"])
    np.testing.assert_array_equal(of["Process2_4"], of["Process10_12"])


def test_real_slices_agree_with_simpleitk(data_dir):
    path = next((data_dir / "ct_slices" / "tcga_luad" / "TCGA-17-Z021").iterdir())
    np.testing.assert_array_equal(read_volume(path).hu, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))


def test_a_frame_of_another_size_than_declared_is_never_decoded(tmp_path):
    ds = ct(0)
    ds.compress("1.2.840.10008.1.2.4.80", generate_instance_uid=False)
    path = save(tmp_path / "ls.dcm", ds)
    np.testing.assert_array_equal(read_volume(path).hu[0], stored() - 1024)
    change(ds, Rows=ROWS * 2)
    with pytest.raises(InputError, match=f"hold {ROWS} x {COLUMNS} pixels of 1 components where the header says 24"):
        read_volume(save(tmp_path / "wrong.dcm", ds))
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    with pytest.raises(InputError, match="says"):
        read_volume(save(tmp_path / "none.dcm", ds))
