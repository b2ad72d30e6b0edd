"""Volumes in NIfTI, MetaImage and NRRD: in and out, nothing moves."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from dicom_files import ct, save
from dicom_series import GRID, letter, reconstruct

from ctrecon.cli.main import cli
from ctrecon.dicom.images.images import read_volume
from ctrecon.dicom.series.study import study_of
from ctrecon.errors import InputError, OutputError
from ctrecon.geometry.grid import Grid
from ctrecon.io.nifti import grid_affine, read_stored_volume, write_stored_volume
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.outputs.files import Target
from ctrecon.outputs.series import SeriesTarget
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.problem import prepare

itk: Any = SimpleITK


def square(rows: int, columns: int, pixel_mm: float) -> Grid:
    return Grid(rows=rows, columns=columns, pixel_mm=pixel_mm)


def oblique() -> np.ndarray:
    row, column = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, -0.8])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row, column, np.cross(row, column)], axis=1) * [0.7, 0.7, 2.5]
    affine[:3, 3] = [-31.5, 12.25, 700]
    return affine


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_what_is_written_is_read_again_and_lies_where_it_lay(tmp_path, suffix):
    values = np.random.default_rng(1).normal(0, 500, (3, 5, 4)).astype(np.float32)
    path = tmp_path / f"v{suffix}"
    write_stored_volume(path, values, oblique())
    back = read_stored_volume(path)
    np.testing.assert_array_equal(back.values, values)
    np.testing.assert_allclose(back.affine, oblique(), atol=2e-4)
    assert back.spacing_mm == pytest.approx((2.5, 0.7, 0.7))
    assert [p.name for p in tmp_path.iterdir()] == [f"v{suffix}"]
    image = SimpleITK.ReadImage(str(path))
    found = image.TransformIndexToPhysicalPoint((3, 4, 2))
    np.testing.assert_allclose(found, (oblique() @ [3, 4, 2, 1])[:3], atol=1e-3)


def test_nifti_on_disk_is_ras(tmp_path):
    write_stored_volume(tmp_path / "v.nii", np.zeros((1, 2, 2), np.float32), np.diag([1.0, 1, 1, 1]))
    header = (tmp_path / "v.nii").read_bytes()
    # srow_x and srow_y of the header: -1 where LPS has 1.
    assert struct.unpack_from("<4f", header, 280)[0] == -1
    assert struct.unpack_from("<4f", header, 296)[1] == -1


def test_a_series_goes_out_as_nifti(tmp_path):
    volume = read_volume(save(tmp_path / "series", *(ct(k) for k in range(3))))
    write_stored_volume(tmp_path / "v.nii.gz", volume.hu, volume.affine)
    back = read_stored_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(back.values, volume.hu)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-5)


def test_refused(tmp_path, capfd):
    sheared = oblique()
    sheared[:3, 2] += [0, 0.5, 0]
    with pytest.raises(OutputError, match="sheared"):
        write_stored_volume(tmp_path / "v.nii", np.zeros((2, 2, 2), np.float32), sheared)
    with pytest.raises(OutputError, match="is written as"):
        write_stored_volume(tmp_path / "v.img", np.zeros((2, 2, 2), np.float32), np.eye(4))
    assert not list(tmp_path.iterdir())
    for name, content, said in (
        ("empty.nii", b"", "no volume"), ("text.mha", b"ObjectType = Image\nDimSize = 9 9 9\n", "no volume"),
        ("noise.nii.gz", bytes(range(256)), "no volume"), ("a.txt", b"", "is read from"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said) as error:
            read_stored_volume(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no such file"):
        read_stored_volume(tmp_path / "absent.nii")
    # Not .nii: its library reads NaN as 0.
    write_stored_volume(tmp_path / "nan.mha", np.full((1, 2, 2), np.nan, np.float32), np.eye(4))
    with pytest.raises(InputError, match="4 values that are not finite"):
        read_stored_volume(tmp_path / "nan.mha")
    size = "NDims = 3\nDimSize = 60000 60000 60000\nElementType = MET_SHORT"
    (tmp_path / "huge.mha").write_text(f"ObjectType = Image\n{size}\nElementDataFile = LOCAL\n")
    with pytest.raises(InputError, match=r"claims \d+ bytes"):
        read_stored_volume(tmp_path / "huge.mha")
    for name, line in (("far.mha", "ElementDataFile = /etc/hostname"), ("far.nrrd", "data file: /etc/hostname")):
        head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 1 1 1\nencoding: raw\n" if name.endswith("nrrd") else (
            "ObjectType = Image\nNDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\n")
        (tmp_path / name).write_text(f"{head}{line}\n")
        with pytest.raises(InputError, match="in another file"):
            read_stored_volume(tmp_path / name)
    for suffix in VOLUME_SUFFIXES:
        noise = np.random.default_rng(2).random((4, 30, 30), np.float32)
        write_stored_volume(tmp_path / f"whole{suffix}", noise, np.eye(4))
        whole = (tmp_path / f"whole{suffix}").read_bytes()
        (tmp_path / f"half{suffix}").write_bytes(whole[: len(whole) - 400])
        with pytest.raises(InputError, match=r"whole|volume"):
            read_stored_volume(tmp_path / f"half{suffix}")
    assert capfd.readouterr() == ("", "")
    colours = SimpleITK.GetImageFromArray(np.zeros((2, 3, 4, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(colours, str(tmp_path / "rgb.mha"))
    with pytest.raises(InputError, match="3 components"):
        read_stored_volume(tmp_path / "rgb.mha")


def test_a_reconstruction_goes_out_in_hounsfield_units(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        result = CliRunner().invoke(cli, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    run("simulate", "--size", "32", "--views", "40", "-o", "scan.npz")
    told = json.loads(run("reconstruct", "scan.npz", "--method", "cgls", "--delta", "5%", "-o", "out.nii.gz", "--json",
                          "--no-preview", "--patient-position", "HFS"))  # fmt: skip
    assert told["image"] == "out.npy"
    image, volume = np.load("out.npy"), read_stored_volume(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(volume.values[0], 1000 * (image / 0.02 - 1), atol=1e-2)
    np.testing.assert_allclose(volume.affine, grid_affine(square(32, 32, told["pixel_mm"])), atol=1e-4)
    said = run("reconstruct", "scan.npz", "--method", "cgls", "--delta", "5%", "-o", "out.mha", "--no-preview",
               "--overwrite", "--water-mu", "0.025", "--slice-mm", "3", "--report", "out.html")  # fmt: skip
    assert "note: out.mha is in HU with water at 0.025 per mm (given)" in said
    volume = read_stored_volume(tmp_path / "out.mha")
    np.testing.assert_allclose(volume.values[0], 1000 * (np.load("out.npy") / 0.025 - 1), atol=1e-2)
    assert volume.spacing_mm[0] == 3
    assert "water at 0.025 per mm" in (tmp_path / "out.html").read_text()
    for options, why in (
        (("-o", "o.npy", "--water-mu", "0.02"), "--water-mu belongs to a DICOM series, a volume"),
        (("-o", "o.npy", "--report", "o.html", "--slice-mm", "1"), "--slice-mm belongs to a DICOM series or a volume"),
        (("-o", "o.mha", "--water-mu", "nan"), "water_mu must be a finite number > 0"),
        (("-o", "o.mha", "--water-mu", "-1"), "water_mu must be a finite number > 0"),
        (("-o", "o.npy", "--report", "o.html", "--water-mu", "0"), "water_mu must be a finite number > 0"),
        (("-o", "o.mha", "--patient-id", "1"), "--patient-id belongs to a DICOM series; "),
    ):
        refused = CliRunner().invoke(cli, ["reconstruct", "scan.npz", *options])
        assert refused.exit_code == 2, refused.output
        assert why in refused.output
        assert not list(tmp_path.glob("o.*"))
    # The certificate is of the array, and the volume beside it does not disturb it.
    run("verify", "out.certificate.json")
    assert CliRunner().invoke(cli, ["reconstruct", "scan.npz", "-o", "out.nix"]).exit_code == 2


def test_the_middle_of_a_centred_image_is_the_axis():
    affine = grid_affine(square(5, 3, 0.5))
    np.testing.assert_allclose(affine @ [1, 2, 0, 1], [0, 0, 0, 1])
    np.testing.assert_allclose(grid_affine(square(5, 3, 0.5), z_mm=-7, slice_mm=2) @ [1, 2, 1, 1], [0, 0, -5, 1])


def test_a_volume_stands_where_the_series_of_the_same_scan_stands(tmp_path):
    problem = reconstruct(letter()).problem
    image = np.random.default_rng(0).uniform(0, 0.03, GRID.shape).astype(np.float32)
    delta = replace(problem.delta, value=1e6)
    problem = prepare(replace(problem.scan, water_mu_per_mm=0.0193, patient_position="HFS"), delta)
    result = conclude(problem, replace(cgls(problem), image=image))
    target = SeriesTarget(folder=tmp_path / "series", study=study_of(None, {}), pictures=False)
    target.write([result], method="cgls", z_mm=[-42.5], thickness_mm=2.5)
    series = itk.ReadImage(str(tmp_path / "series" / "ct-0001.dcm"))
    hu = itk.GetArrayFromImage(series)
    for suffix in (".nii.gz", ".mha", ".nrrd"):
        Target.at(tmp_path / f"u{suffix}", z_mm=-42.5, slice_mm=2.5, overwrite=True).write(result, preview=False)
        volume = itk.ReadImage(str(tmp_path / f"u{suffix}"))
        for index in ((0, 0, 0), (55, 0, 0), (0, 39, 0), (55, 39, 0), (13, 29, 0)):
            here, there = (one.TransformIndexToPhysicalPoint(index) for one in (volume, series))
            np.testing.assert_allclose(here, there, atol=1e-4)
            # Another index, another place and another value: the comparison would see a mirrored axis.
            assert volume.GetPixel(index) == pytest.approx(series.GetPixel(index), abs=0.02)
        # Of one file, ITK takes no spacing along the axis; the thickness is what there is.
        np.testing.assert_allclose(volume.GetSpacing(), (*series.GetSpacing()[:2], 2.5), rtol=1e-6)
        values = itk.GetArrayFromImage(volume)
        np.testing.assert_allclose(values, hu, atol=0.02)
        assert np.abs(values[:, ::-1] - hu).max() > 100
        assert np.abs(values[:, :, ::-1] - hu).max() > 100
        # The scan's own water is taken, not the usual one, unless another is given.
        np.testing.assert_allclose(values[0], 1000 * (image / 0.0193 - 1), atol=1e-3)
        Target.at(tmp_path / f"u{suffix}", water_mu=0.025, overwrite=True).write(result, preview=False)
        other = itk.GetArrayFromImage(itk.ReadImage(str(tmp_path / f"u{suffix}")))
        np.testing.assert_allclose(other[0], 1000 * (image / 0.025 - 1), atol=1e-3)
