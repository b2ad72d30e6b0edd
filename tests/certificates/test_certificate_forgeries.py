"""Whatever is changed in a certificate or beside it is refused, in one line and at bounded cost."""

import numpy as np
import pytest
from certificate_cases import HALF_TURN, forge, problem, restate, written

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify


def each_changed_byte_is_refused(case, folder, stride):
    """``stride`` of a file by its name: one byte of so many is changed, from a place drawn by chance."""
    paths = written(case, folder)
    rng = np.random.default_rng(8)
    for name, path in paths.items():
        raw = path.read_bytes()
        step = stride(name)
        for at in range(int(rng.integers(step)), len(raw), step):
            changed = bytearray(raw)
            changed[at] ^= int(rng.integers(1, 256))
            path.write_bytes(changed)
            verdict = verify.check(paths[""])
            assert not verdict.valid, (name, at)
            assert verdict.reason
            assert "\n" not in verdict.reason
        path.write_bytes(raw)
        assert verify.check(paths[""]).valid


@pytest.mark.parametrize(("case", "certificate", "array"), [("whitened", 3, 5), ("matrix", 9, 97)])
def test_every_changed_byte_is_refused(case, certificate, array, tmp_path):
    """Hundreds of places of each file; an array is known by its hash, so where in it decides nothing."""
    each_changed_byte_is_refused(case, tmp_path, lambda name: array if name else certificate)


@pytest.mark.long
@pytest.mark.parametrize("case", ["whitened", "matrix"])
def test_every_changed_byte_is_refused_of_all(case, tmp_path):
    each_changed_byte_is_refused(case, tmp_path, lambda name: 1 if case == "whitened" else 9)


@pytest.mark.parametrize("case", ["fan", "whitened", "matrix"])
def test_truncation_additions_and_missing_files_are_refused(case, tmp_path):
    paths = written(case, tmp_path)
    for path in paths.values():
        raw = path.read_bytes()
        others = [raw[:-1], raw[: len(raw) // 2], raw[:9], b"", raw + b"\0", raw + b"\n", b" " + raw, raw + raw,
                  raw.replace(b" ", b"  "), raw.replace(b"\n", b"\r\n"), raw[::-1]]  # fmt: skip
        for changed in others:
            path.write_bytes(changed)
            assert changed == raw or not verify.check(paths[""]).valid
        path.unlink()
        verdict = verify.check(paths[""])
        assert not verdict.valid
        assert not verdict.readable
        path.mkdir()
        assert not verify.check(paths[""]).readable
        path.rmdir()
        path.write_bytes(raw)
    assert verify.check(paths[""]).valid


def test_another_image_is_refused_even_with_all_hashes_right(tmp_path):
    image, data, kept, residual = problem("fan")
    honest = certify(image, data, delta=residual * (1 + 1e-5), **kept)
    forged = certify(image * np.float32(1.001), data, delta=1e3, **kept)
    paths = forged.write(tmp_path / "scan.npy", overwrite=True)
    assert verify.check(paths[""]).valid

    def claim_the_honest_numbers(values):
        for name in ("delta", "residual", "residual_upper_bound", "statement"):
            values[name] = honest.values[name]

    forge(paths[""], claim_the_honest_numbers)
    verdict = verify.check(paths[""])
    assert not verdict.valid
    assert "residual is" in verdict.reason


def change_numbers(values, **numbers):
    values.update(numbers)
    restate(values)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: change_numbers(v, residual_upper_bound=v["residual"] * 0.9, residual=v["residual"] * 0.9),
        lambda v: change_numbers(v, residual_upper_bound=v["residual"] * (1 - 1e-9)),
        lambda v: change_numbers(v, delta=v["residual"] * 0.5),
        lambda v: change_numbers(v, residual=v["residual"] * (1 + 1e-6)),
        lambda v: v.update(delta=v["delta"] * 2),  # true, but the statement says something else
        lambda v: v.update(statement="The patient is well."),
        lambda v: v.update(limits=""),
        lambda v: v["operator"]["geometry"].update(detector_offset_mm=0.17 + 0.155),
        lambda v: v["operator"]["geometry"].update(detector_spacing_mm=0.3001),
        lambda v: v["operator"]["geometry"]["angles_rad"].reverse(),
        lambda v: v["operator"]["geometry"]["angles_rad"].__setitem__(3, HALF_TURN[3] + 1e-3),
        lambda v: v["operator"]["geometry"]["angles_rad"].append(0.0),
        lambda v: v["operator"]["grid"].update(pixel_mm=0.311) or v["image"].update(pixel_mm=0.311),
        lambda v: v["operator"]["grid"].update(rows=13, columns=11),
        lambda v: v["image"].update(pixel_mm=0.62),
        lambda v: v["image"].update(unit="HU"),
        lambda v: v["image"].update(unit=None),
        lambda v: v["image"].update(unit=["1/mm"]),
        lambda v: v["image"].update(shape=[13, 11]),
        lambda v: v["data"].update(dtype="<f4"),
        lambda v: v.update(norm="whitened"),
        lambda v: v.update(weights=v["data"]),
        lambda v: v.update(norm="whitened", weights=v["data"]),
        lambda v: v.update(format="ctrecon-certificate/2"),
        lambda v: v.update(kind="infeasible"),
        lambda v: v.update(kind=["feasible"]),
    ],
)  # fmt: skip
def test_false_claims_with_the_hash_made_right_are_refused(change, tmp_path):
    paths = written("offset", tmp_path)
    verdict = verify.check(forge(paths[""], change))
    assert not verdict.valid
    assert verdict.reason


def test_a_weaker_true_claim_still_holds(tmp_path):
    """So that the test above is about falsehood: a larger delta, said consistently, is true."""
    paths = written("offset", tmp_path)
    assert verify.check(forge(paths[""], lambda v: change_numbers(v, delta=2 * v["delta"]))).valid


def test_a_whitened_certificate_does_not_hold_with_other_weights(tmp_path):
    paths = written("whitened", tmp_path)
    image, data, kept, _ = problem("whitened")
    heavier = certify(image, data, delta=1e6, **{**kept, "weights": kept["weights"] * np.float32(1.01)})
    paths["weights"].write_bytes(heavier.files["weights"])
    forge(paths[""], lambda v: v.update(weights=heavier.values["weights"]))
    assert "residual is" in verify.check(paths[""]).reason
