"""Laws of super-resolution's certificates: pooled again the image is the input, everywhere, or it is refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from PIL import Image as PillowImage

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.pooled import certify_pooled
from ctrecon.cli.main import cli
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam

CASES = {"grey": ((12, 8), 4, 255), "colour": ((6, 9, 3), 3, 255), "deep": ((10, 6), 2, 65535),
         "deep colour": ((4, 6, 3), 2, 65535)}  # fmt: skip


def problem(case, seed=0):
    """An image of whole numbers, data half a level off at most, the factor."""
    shape, factor, top = CASES[case]
    image = np.random.default_rng(seed).integers(0, top + 1, shape).astype(np.float32)
    return image, np.rint(looped(image, factor)).astype(np.float32), factor


def looped(image, factor):
    """The means, once more and slowly; exact for whole numbers up to the last division."""
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    means = np.zeros((rows, columns, *image.shape[2:]))
    for row in range(rows):
        for column in range(columns):
            for i in range(factor):
                for j in range(factor):
                    means[row, column] += image[row * factor + i, column * factor + j].astype(np.float64)
    return means / factor**2


def written(case, folder):
    image, data, factor = problem(case)
    certificate = certify_pooled(image, data, factor, 0.5 + 1e-9)
    assert isinstance(certificate, FeasibleCertificate)
    return certificate.write(folder / "photo.npy", overwrite=True)


def forge(path, change):
    """Change entries of a certificate, and make its statement and its own hash right again."""
    values = json.loads(path.read_bytes())
    change(values)
    try:
        name = verify.check_operator(values["operator"], values["image"]["shape"], values["data"]["shape"])
        values["statement"] = verify.statement(values, name, 0)
    except (verify.Refused, KeyError, TypeError):
        pass  # the checker is to find that itself
    path.write_bytes(verify.encode(values))
    return path


def ask(path, *more):
    result = CliRunner().invoke(cli, ["verify", str(path), *map(str, more)])
    # One verdict; what a valid certificate says in words stands indented below it.
    assert len([line for line in result.output.splitlines() if not line.startswith(" ")]) == 1
    return result.exit_code, result.output


# --- what is honest holds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_honest_certificates_hold(case, tmp_path):
    paths = written(case, tmp_path)
    assert {path.name for path in paths.values()} == {"photo.npy", "photo.data.npy", "photo.certificate.json"}
    verdict = verify.check(paths[""])
    assert verdict.valid, verdict.reason
    assert verdict.statement.startswith("max |A u - f| <= 0.5")
    assert "does not see" in verdict.statement
    assert ask(paths["image"])[0] == 0


@pytest.mark.parametrize("case", CASES)
def test_the_residual_is_the_largest_difference(case):
    image, data, factor = problem(case)
    deviation = float(np.abs(looped(image, factor) - data).max())
    found = certify_pooled(image, data, factor, deviation * (1 + 1e-6))
    assert abs(found.residual - deviation) <= found.residual_upper_bound - found.residual
    assert deviation <= found.residual_upper_bound <= deviation * (1 + 1e-7)
    # Below the true deviation there is none, and one pixel of one channel is enough to miss it.
    below = certify_pooled(image, data, factor, deviation * (1 - 1e-6))
    assert isinstance(below, NotCertified)
    assert below.residual == found.residual
    assert "above the tolerance" in below.reason
    image.flat[-1] += 40 * factor**2
    assert isinstance(certify_pooled(image, data, factor, 5.0), NotCertified)


def test_the_bound_holds_against_fractions():
    """Values of very different sizes, so that float64 rounds: the exact means are within the bound."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(1800, 6, 2)) * 10.0 ** rng.integers(-12, 6, (1800, 6, 2))
    factor = 3
    product = verify.apply({"factor": factor}, image, None)
    values, errors = (part.reshape(600, 2, 2) for part in product)
    data = values.copy()  # so that the computed residual is 0 and only the bound is left
    largest, off = Fraction(0), 0
    for row, column, channel in np.ndindex(600, 2, 2):
        square = image[3 * row : 3 * row + 3, 3 * column : 3 * column + 3, channel]
        exact = sum((Fraction(v) for v in square.ravel().tolist()), Fraction(0)) / 9
        error = abs(exact - Fraction(float(values[row, column, channel])))
        assert error <= Fraction(float(errors[row, column, channel]))
        largest, off = max(largest, error), off + (error > 0)
    found, upper = verify.residual(product, data, None, "max")
    assert found == 0 < largest <= Fraction(upper)
    assert upper < 1e-9 * np.abs(image).max()
    assert off > 1000  # the plain float64 means are no proof


def test_what_is_no_number_is_never_bounded():
    for nan in (np.array([0.0, np.nan, 1.0, 1.0]), np.array([1.0, 0.0, 1.0, np.nan])):
        for norm in ("max", "2-norm"):
            assert math.isnan(verify.residual((nan, np.zeros(4)), np.zeros(4), None, norm)[1])
            assert math.isnan(verify.residual((np.zeros(4), nan), np.zeros(4), None, norm)[1])
    # Finite values whose sum is not.
    huge = np.full((2, 2), 1e308)
    assert isinstance(certify_pooled(huge, np.full((1, 1), 1e308), 2, 1e100), NotCertified)


def test_the_largest_difference_goes_with_the_projector_too():
    geometry, grid = ParallelBeam(angles_rad=(0.0, 0.3), detector_count=5), Grid(rows=4, columns=4)
    image = np.random.default_rng(2).random((4, 4))
    product = verify.apply({"geometry": geometry.to_dict(), "grid": grid.to_dict()}, image, None)
    values = product[0]
    found, upper = verify.residual(product, np.zeros((2, 5)), None, "max")
    assert found == np.abs(values).max() < upper < found + 1e-9
    assert certify(image, np.zeros((2, 5)), geometry, grid, 100.0).residual == pytest.approx(np.linalg.norm(values))


# --- whatever is changed is refused ---------------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("case", ["grey", "colour"])
def test_every_changed_byte_is_refused(case, tmp_path):
    paths = written(case, tmp_path)
    rng = np.random.default_rng(3)
    for name, path in paths.items():
        raw = path.read_bytes()
        places = range(len(raw)) if name == "" else rng.choice(len(raw), min(len(raw), 300), replace=False).tolist()
        for at in places:
            changed = bytearray(raw)
            changed[at] ^= int(rng.integers(1, 256))
            path.write_bytes(changed)
            verdict = verify.check(paths[""])
            assert not verdict.valid, (name, at)
        for changed in (raw[:-1], raw + b"\0", b""):
            path.write_bytes(changed)
            assert not verify.check(paths[""]).valid
        path.write_bytes(raw)
    assert verify.check(paths[""]).valid


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["operator"].update(factor=3),
        lambda v: v["operator"].update(factor=2),
        lambda v: v["operator"].update(factor=0),
        lambda v: v["operator"].update(factor=-4),
        lambda v: v["operator"].update(factor=4.0),
        lambda v: v["operator"].update(factor=True),
        lambda v: v["operator"].update(factor=10**30),
        lambda v: v["operator"].update(grid={}),
        lambda v: v["operator"].pop("factor"),
        lambda v: v["operator"].update(projector="matrix"),
        lambda v: v["image"].update(shape=[8, 12]),
        lambda v: v["data"].update(shape=[2, 3]),
        lambda v: v["data"].update(shape=[6]) or v["image"].update(shape=[24]),
        lambda v: v["data"].update(shape=[3, 2, 1, 1]) or v["image"].update(shape=[12, 8, 1, 1]),
        lambda v: v["data"].update(shape=[3 << 24, 2 << 24]) or v["image"].update(shape=[12 << 24, 8 << 24]),
        lambda v: v.update(norm="2-norm"),
        lambda v: v.update(norm="whitened"),
        lambda v: v.update(norm=["max"]),
        lambda v: v.update(weights=v["data"]),
        lambda v: v.update(limits=v["limits"].replace("nothing else", "and all else")),
        lambda v: v.update(residual=v["residual"] * 0.9, residual_upper_bound=v["residual_upper_bound"] * 0.9),
        lambda v: v.update(residual_upper_bound=v["residual"] * (1 - 1e-9)),
        lambda v: v.update(delta=v["residual"] / 2),
    ],
)  # fmt: skip
def test_false_claims_with_all_hashes_right_are_refused(change, tmp_path):
    path = written("grey", tmp_path)[""]
    verdict = verify.check(forge(path, change))
    assert not verdict.valid
    assert verdict.reason.isprintable()


def test_a_weaker_true_claim_still_holds(tmp_path):
    """So that the test above is about falsehood."""
    path = written("grey", tmp_path)[""]
    assert verify.check(forge(path, lambda v: v.update(delta=2.0))).valid


def test_another_image_is_refused_even_with_all_hashes_right(tmp_path):
    image, data, factor = problem("grey")
    honest = written("grey", tmp_path)[""].read_bytes()
    image[0, 0] += 64
    paths = certify_pooled(image, data, factor, 100.0).write(tmp_path / "photo.npy", overwrite=True)
    assert verify.check(paths[""]).valid
    numbers = {name: json.loads(honest)[name] for name in ("delta", "residual", "residual_upper_bound")}
    assert "residual is" in verify.check(forge(paths[""], lambda v: v.update(numbers))).reason


def test_arrays_that_do_not_fit_are_named():
    image, data, factor = problem("colour")
    for wrong in (factor - 1, factor + 1, 0, -3, 1.5, True):
        with pytest.raises(InputError, match="cannot be certified"):
            certify_pooled(image, data, wrong, 0.5)
    with pytest.raises(InputError, match="should have shape"):
        certify_pooled(image, data[..., 0], factor, 0.5)
    with pytest.raises(InputError, match="should have shape"):
        certify_pooled(image[:-1], data, factor, 0.5)
    with pytest.raises(InputError, match="not finite"):
        certify_pooled(image * np.float32(np.nan), data, factor, 0.5)
    for tolerance in (0.0, -1.0, math.nan, math.inf, True):
        with pytest.raises(SettingError, match="tolerance"):
            certify_pooled(image, data, factor, tolerance)


# --- the picture beside it ------------------------------------------------------------------------------------------


def save(path, values, bits):
    array = values.astype(np.uint8 if bits == 8 else np.uint16)
    if bits == 16 and array.ndim == 3:  # Pillow knows no colours of 16 bits
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=True), str(path))
    else:
        PillowImage.fromarray(array).save(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("case", CASES)
def test_a_picture_beside_must_hold_the_certified_values(case, suffix, tmp_path):
    paths = written(case, tmp_path)
    image, bits = problem(case)[0], 8 if CASES[case][2] == 255 else 16
    picture = tmp_path / f"photo{suffix}"
    save(picture, image, bits)
    assert ask(paths[""])[0] == 0
    # One level in one pixel, 16-bit colours included, and the certificate no longer speaks of the picture.
    changed = image.copy()
    changed.flat[7] += 1 if changed.flat[7] < 255 else -1
    save(picture, changed, bits)
    code, line = ask(paths["image"])
    assert code == 1
    assert f"{picture.name} does not show the certified image: 1 of its values differ" in line
    assert verify.check(paths[""]).valid  # what is said of S.npy is still true
    # Nor does a picture of another name matter.
    picture.rename(tmp_path / f"other{suffix}")
    assert ask(paths[""])[0] == 0


def test_pictures_of_another_kind_are_refused_in_one_line(tmp_path):
    paths = written("grey", tmp_path)
    image = problem("grey")[0].astype(np.uint8)
    picture = tmp_path / "photo.png"
    several = [PillowImage.fromarray(image), PillowImage.fromarray(image // 2)]
    wrong = {
        "larger": lambda: PillowImage.fromarray(np.zeros((4000, 4000), np.uint8)).save(picture),
        "turned": lambda: PillowImage.fromarray(np.ascontiguousarray(image.T)).save(picture),
        "coloured": lambda: PillowImage.fromarray(np.stack([image] * 3, axis=-1)).save(picture),
        "transparent": lambda: PillowImage.fromarray(np.stack([image, image], axis=-1), "LA").save(picture),
        "animated": lambda: several[0].save(picture, save_all=True, append_images=several[1:]),
        "text": lambda: picture.write_bytes(b"no picture\n\x1b[31m"),
        "empty": lambda: picture.write_bytes(b""),
    }
    for name, make in wrong.items():
        make()
        code, line = ask(paths[""])
        assert code == 1, name
        assert "photo.png" in line
        assert line[:-1].isprintable()
    PillowImage.fromarray(image).save(picture)
    picture.write_bytes(picture.read_bytes()[:-30])
    assert ask(paths[""])[0] == 1
    facts = json.loads(ask(paths[""], "--json")[1])
    assert facts["valid"] is False
    assert facts["statement"] == ""
    assert "photo.png" in facts["reason"]


def test_an_image_given_by_name_is_compared_with_the_picture_as_well(tmp_path):
    paths = written("grey", tmp_path)
    image = problem("grey")[0]
    elsewhere = paths["image"].rename(tmp_path / "elsewhere.npy")
    save(tmp_path / "photo.png", image, 8)
    assert ask(paths[""], "--image", elsewhere)[0] == 0
    save(tmp_path / "photo.png", 255 - image, 8)
    assert ask(paths[""], "--image", elsewhere)[0] == 1


def test_measured_values_are_compared_with_the_nifti_file(tmp_path):
    image = np.random.default_rng(4).normal(size=(6, 4)).astype(np.float32)
    paths = certify_pooled(image, looped(image, 2), 2, 1e-3, unit="HU").write(tmp_path / "slice.npy")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image), str(tmp_path / "slice.nii"))
    assert ask(paths[""])[0] == 0
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image * np.float32(1.0001)), str(tmp_path / "slice.nii"))
    assert ask(paths[""])[0] == 1


def test_the_preview_of_a_ct_image_is_not_compared(tmp_path):
    geometry, grid = ParallelBeam(angles_rad=(0.0, 0.3), detector_count=5), Grid(rows=4, columns=4)
    paths = certify(np.ones((4, 4)), np.zeros((2, 5)), geometry, grid, 100.0).write(tmp_path / "scan.npy")
    save(tmp_path / "scan.png", np.zeros((9, 9)), 8)
    assert ask(paths[""])[0] == 0
