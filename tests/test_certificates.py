"""Laws of the certificates: what is honest passes, whatever is changed is refused, and the bound is a bound."""

import io
import json
import math
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.sparse
import torch

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.geometry import FanBeam, ImageGrid, ParallelBeam
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix

HALF_TURN = tuple((math.pi * np.arange(9) / 9).tolist())
TURN = tuple((2 * math.pi * np.arange(8) / 8).tolist())  # holds all the 45 degree ties
GEOMETRIES = {
    "parallel": (ParallelBeam(angles_rad=HALF_TURN, detector_count=14), ImageGrid(rows=12, columns=12)),
    "ties": (ParallelBeam(angles_rad=TURN, detector_count=16), ImageGrid(rows=12, columns=12)),
    "offset": (
        ParallelBeam(angles_rad=HALF_TURN, detector_count=15, detector_spacing_mm=0.3, detector_offset_mm=0.17),
        ImageGrid(rows=11, columns=13, pixel_mm=0.31),
    ),
    "fan": (
        FanBeam(angles_rad=TURN, detector_count=17, detector_spacing_mm=0.5, detector_offset_mm=-0.2,
                source_to_axis_mm=30.0, source_to_detector_mm=45.0),
        ImageGrid(rows=9, columns=14, pixel_mm=0.4),
    ),
    "source inside": (
        FanBeam(angles_rad=HALF_TURN, detector_count=11, detector_spacing_mm=2.0, source_to_axis_mm=2.0,
                source_to_detector_mm=5.0),
        ImageGrid(rows=12, columns=10),
    ),
}  # fmt: skip
CASES = [*GEOMETRIES, "whitened", "matrix"]


def problem(case, seed=0):
    """Image, data and the keywords of ``certify``; the data are the image's own line integrals plus noise."""
    rng = np.random.default_rng(seed)
    geometry, grid = GEOMETRIES.get(case, GEOMETRIES["offset"])
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.05)
    matrix = joseph_matrix(geometry, grid, np.float64)
    kept = {"geometry": geometry, "grid": grid}
    if case == "matrix":
        matrix = scipy.sparse.random(40, image.size, 0.2, "csr", dtype=np.float32, rng=rng)
        kept = {"geometry": None, "grid": None, "matrix": matrix}
    exact = matrix.astype(np.float64) @ image.ravel().astype(np.float64)
    data = (exact + 0.01 * rng.normal(size=exact.size)).reshape(-1, 8 if case == "matrix" else geometry.detector_count)
    if case in ("fan", "matrix"):
        data = data.astype(np.float32)
    weights = None
    if case == "whitened":
        weights = rng.random(data.shape, dtype=np.float32) * 100
        weights[1, 2:5] = 0
        kept["weights"] = weights
    misfit = np.sqrt(1 if weights is None else weights.astype(np.float64)) * (exact.reshape(data.shape) - data)
    return image, data, kept, float(np.linalg.norm(misfit))


def written(case, folder):
    image, data, kept, residual = problem(case)
    certificate = certify(image, data, delta=residual * (1 + 1e-5), **kept)
    assert isinstance(certificate, FeasibleCertificate)
    return certificate.write(folder / "scan.npy")


def forge(path, change):
    """Change entries of a certificate and make its own hash right again."""
    values = json.loads(path.read_bytes())
    change(values)
    path.write_bytes(verify.encode(values))
    return path


def projected(geometry, grid, image):
    """``A u`` and the bound on the error of each value, by the checker."""
    found = np.full((2, math.prod(geometry.shape)), np.nan)
    for at, values, errors in verify.apply({"geometry": geometry.to_dict(), "grid": grid.to_dict()}, image, None):
        found[:, at] = values, errors
    return found


def restate(values):
    """Make the statement fit the numbers again, so that only the numbers can be at fault."""
    name = verify.check_operator(values["operator"], values["image"]["shape"], values["data"]["shape"])
    values["statement"] = verify.statement(values, name, 0)


# --- the honest ones ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_honest_certificates_hold(case, tmp_path):
    paths = written(case, tmp_path)
    verdict = verify.check(paths[""])
    assert verdict.valid, verdict.reason
    assert verdict.kind == "feasible"
    assert verdict.proved["residual_upper_bound"] <= verdict.proved["delta"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths.values())


@pytest.mark.parametrize("case", CASES)
def test_the_residual_agrees_with_ctrecons_own_operators(case):
    image, data, kept, residual = problem(case)
    # Their kernels may step along a ray in fixed point, a billionth of a pixel off; the digits are held further below.
    certificate = certify(image, data, delta=2 * residual, **kept)
    assert certificate.residual == pytest.approx(residual, rel=1e-6)
    assert certificate.residual < certificate.residual_upper_bound <= certificate.residual * (1 + 1e-8)
    # and a certificate below the residual is not given
    refused = certify(image, data, delta=residual * (1 - 1e-5), **kept)
    assert isinstance(refused, NotCertified)
    assert refused.residual == pytest.approx(residual, rel=1e-6)
    # nor one that rounding leaves open
    assert isinstance(certify(image, data, delta=certificate.residual, **kept), NotCertified)


@pytest.mark.parametrize("case", GEOMETRIES)
def test_the_operator_agrees_with_joseph_ray_by_ray(case):
    geometry, grid = GEOMETRIES[case]
    image = np.random.default_rng(3).normal(size=grid.shape)
    ours = projected(geometry, grid, image)[0].reshape(geometry.shape)
    theirs = JosephOperator(geometry, grid)(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7)
    assert np.abs(ours - np.roll(theirs, 1, axis=1)).max() > 0.1


def test_views_in_blocks_change_nothing():
    geometry = ParallelBeam(angles_rad=tuple(np.linspace(0, 3, 40).tolist()), detector_count=500)
    grid = ImageGrid(rows=6, columns=5, pixel_mm=60.0)
    image = np.random.default_rng(4).normal(size=grid.shape)
    ours = projected(geometry, grid, image)[0]
    theirs = joseph_matrix(geometry, grid, np.float64) @ image.ravel()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


# --- the bound ------------------------------------------------------------------------------------------------------


def exact_projection(geometry, grid, image):
    """``docs/guarantees.md`` in 50 digits, written for this test: ``[views, detectors]`` of mpmath numbers."""
    mp = mpmath.mpf
    pixel, (rows, columns) = mp(grid.pixel_mm), grid.shape
    result = []
    for angle in geometry.angles_rad:
        c, s = mpmath.cos(mp(angle)), mpmath.sin(mp(angle))
        for i in range(geometry.detector_count):
            t = (mp(i) - mp(geometry.detector_count - 1) / 2) * mp(geometry.detector_spacing_mm)
            t += mp(geometry.detector_offset_mm)
            if isinstance(geometry, ParallelBeam):
                px, py, dx, dy = t * c, t * s, s, -c
            else:
                near, far = mp(geometry.source_to_axis_mm), mp(geometry.source_to_detector_mm)
                px, py, dx, dy = near * s, -near * c, t * c - far * s, t * s + far * c
            by_row = abs(dy) >= abs(dx) * (1 - mp(10) ** -9)
            total = mp(0)
            for line in range(rows if by_row else columns):
                if by_row:
                    y = (mp(rows - 1) / 2 - line) * pixel
                    x = (px + (y - py) * dx / dy) / pixel + mp(columns - 1) / 2
                    values = image[line]
                else:
                    x = (line - mp(columns - 1) / 2) * pixel
                    x = mp(rows - 1) / 2 - (py + (x - px) * dy / dx) / pixel
                    values = image[:, line]
                k = int(mpmath.floor(x))
                for pixel_index, weight in ((k, k + 1 - x), (k + 1, x - k)):
                    if 0 <= pixel_index < len(values):
                        total += weight * mp(float(values[pixel_index]))
            slope = dx / dy if by_row else dy / dx
            result.append(total * pixel * mpmath.sqrt(1 + slope**2))
    return result


@pytest.mark.parametrize("case", GEOMETRIES)
def test_the_bound_holds_against_fifty_digits(case):
    geometry, grid = GEOMETRIES[case]
    rng = np.random.default_rng(5)
    image = rng.normal(size=grid.shape)
    data = rng.normal(size=geometry.shape)
    with mpmath.workdps(50):
        exact = exact_projection(geometry, grid, image)
        truth = mpmath.sqrt(sum((a - mpmath.mpf(float(f))) ** 2 for a, f in zip(exact, data.ravel(), strict=True)))
        values, errors = projected(geometry, grid, image)
        off = [abs(mpmath.mpf(float(v)) - a) for v, a in zip(values, exact, strict=True)]
        assert all(o <= mpmath.mpf(float(e)) for o, e in zip(off, errors, strict=True))
        found, upper = verify.residual(iter([(slice(None), values, errors)]), data, None)
        assert truth <= mpmath.mpf(upper)
        assert abs(truth - mpmath.mpf(found)) <= mpmath.mpf(upper) - mpmath.mpf(found)
    # The bound says something: it is small, and a detector off by a millionth of a pixel is outside of it.
    assert errors.max() < 1e-9
    moved = replace(geometry, detector_offset_mm=geometry.detector_offset_mm + 1e-6 * grid.pixel_mm)
    others = projected(moved, grid, image)[0]
    assert (np.abs(others - values) > errors).mean() > 0.5


def test_the_bound_of_a_matrix_holds_against_fractions():
    rng = np.random.default_rng(6)
    dense = np.where(rng.random((12, 30)) < 0.6, rng.normal(size=(12, 30)), 0) * 10.0 ** rng.integers(-6, 6, (12, 1))
    image, weights = rng.normal(size=(5, 6)), rng.random((3, 4))
    exact = [sum((Fraction(a) * Fraction(u) for a, u in zip(row, image.ravel().tolist(), strict=True)), Fraction(0))
             for row in dense.tolist()]  # fmt: skip
    # The data cancel the image to the last bits: the relative error of the residual is then large, the bound must be.
    data = np.array([float(value) for value in exact]).reshape(3, 4)
    squares = [Fraction(w) * (a - Fraction(f)) ** 2 for w, a, f in
               zip(weights.ravel().tolist(), exact, data.ravel().tolist(), strict=True)]  # fmt: skip
    found, upper = verify.residual(verify.apply({}, image, scipy.sparse.csr_matrix(dense)), data, weights)
    assert sum(squares) <= Fraction(upper) ** 2
    assert upper < 1e-6
    assert Fraction(found) ** 2 != sum(squares)  # the plain float64 residual is no proof


def test_a_ray_that_rounding_cannot_place_is_not_certified():
    # tan = 1 - 1e-9 up to rounding: rows or columns?
    angle = math.atan2(1, 1 - 1e-9)
    for view in [*np.nextafter(angle, [0, 1]).tolist(), angle]:
        geometry = ParallelBeam(angles_rad=(view,), detector_count=3)
        errors = projected(geometry, ImageGrid(rows=3, columns=3), np.ones((3, 3)))[1]
        assert np.isinf(errors).all()
        image, data = np.zeros((3, 3)), np.zeros((1, 3))
        found = certify(image, data, geometry, ImageGrid(rows=3, columns=3), 1.0)
        assert isinstance(found, NotCertified)


# --- whatever is changed is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["whitened", "matrix"])
def test_every_changed_byte_is_refused(case, tmp_path):
    paths = written(case, tmp_path)
    rng = np.random.default_rng(8)
    for name, path in paths.items():
        raw = path.read_bytes()
        stride = 9 if case == "matrix" else 1  # each byte of the one, hundreds of the other
        for at in range(int(rng.integers(stride)), len(raw), stride):
            changed = bytearray(raw)
            changed[at] ^= int(rng.integers(1, 256))
            path.write_bytes(changed)
            verdict = verify.check(paths[""])
            assert not verdict.valid, (name, at)
            assert verdict.reason
            assert "\n" not in verdict.reason
        path.write_bytes(raw)
        assert verify.check(paths[""]).valid


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
    paths = forged.write(tmp_path / "scan.npy")
    assert verify.check(paths[""]).valid

    def claim_the_honest_numbers(values):
        for name in ("delta", "residual", "residual_upper_bound", "statement"):
            values[name] = honest.values[name]

    forge(paths[""], claim_the_honest_numbers)
    verdict = verify.check(paths[""])
    assert not verdict.valid
    assert "the residual is" in verdict.reason


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
    assert "the residual is" in verify.check(paths[""]).reason


# --- hostile content ------------------------------------------------------------------------------------------------


HOSTILE_BYTES = {
    "empty": b"",
    "text": b"no certificate",
    "zip": b"PK\x03\x04" + bytes(100),
    "deep list": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "huge number": b'{"delta": ' + b"9" * 100_000 + b"}",
    "overflow": b'{"delta": 1e999}\n',
    "nan": b'{"delta": NaN}\n',
    "duplicate": b'{"kind": "feasible", "kind": "feasible"}\n',
    "surrogate": b'{"kind": "\\ud800"}\n',
    "utf-16": '{"kind": "feasible"}'.encode("utf-16"),
    "bytes": bytes(range(256)) * 10,
    "list": b"[]\n",
    "string": b'"feasible"\n',
    "null": b"null\n",
    "escapes": b'{"kind": "\\u001b[31m\\r"}\n',
}


@pytest.mark.parametrize("name", HOSTILE_BYTES)
def test_hostile_bytes_are_refused_in_one_line(name, tmp_path, capsys):
    path = tmp_path / "scan.certificate.json"
    path.write_bytes(HOSTILE_BYTES[name])
    assert verify.main([str(path)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("REFUSED")
    assert out.count("\n") == 1
    assert out[:-1].isprintable()


WRONG = [None, True, -1, 0, 1.5, 1e300, 10**400, "", "x", "../../x", [], [[]], {}, {"a": 1}, [1e9], "\x1b[31m\n"]


def test_wrong_values_anywhere_are_refused_or_harmless(tmp_path):
    """Each entry of each certificate replaced by each wrong value, and left out."""
    for case in ("fan", "whitened", "matrix"):
        path = written(case, tmp_path)[""]
        original = json.loads(path.read_bytes())

        def entries(value, prefix=()):
            for key, inner in value.items():
                yield (*prefix, key)
                if isinstance(inner, dict):
                    yield from entries(inner, (*prefix, key))

        for place in entries(original):
            if place[0] in ("source", "made_with", "certificate_sha256"):
                continue
            for wrong in [*WRONG, KeyError]:
                values = json.loads(json.dumps(original))
                inner = values
                for key in place[:-1]:
                    inner = inner[key]
                if wrong is KeyError:
                    del inner[place[-1]]
                elif inner[place[-1]] == wrong:
                    continue
                else:
                    inner[place[-1]] = wrong
                path.write_bytes(verify.encode(values))
                verdict = verify.check(path)
                assert not verdict.valid, (place, wrong)
                assert verdict.reason.isprintable()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["operator"]["geometry"].update(detector_count=10**9) or v["data"].update(shape=[8, 10**9]),
        lambda v: v["operator"]["geometry"].update(detector_count=65536, angles_rad=[0.0] * 2048)
        or v["data"].update(shape=[2048, 65536]),
        lambda v: v["operator"]["grid"].update(rows=16384, columns=16384) or v["image"].update(shape=[16384, 16384]),
        lambda v: v["operator"]["geometry"].update(angles_rad=[0.0] * 50_000) or v["data"].update(shape=[50_000, 17]),
        lambda v: v["image"].update(shape=[1] * 50_000),
    ],
)
def test_monstrous_sizes_are_refused_before_anything_is_allocated(change, tmp_path):
    path = forge(written("fan", tmp_path)[""], change)
    tracemalloc.start()
    try:
        assert not verify.check(path).valid
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 120 << 20


def test_hostile_arrays_are_refused(tmp_path):
    paths = written("offset", tmp_path)
    raw = paths["image"].read_bytes()
    body = raw[128:]

    def npy(header, rest=body, start=b"\x93NUMPY\x01\x00"):
        return start + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + rest

    good = b"{'descr': '<f4', 'fortran_order': False, 'shape': (11, 13), }"
    nan = bytearray(raw)
    nan[-4:] = np.float32(np.nan).tobytes()
    hostile = [
        npy(good.replace(b"<f4", b"|O")), npy(good.replace(b"<f4", b"<c8")), npy(good.replace(b"False", b"True")),
        npy(good.replace(b"<f4", b"<i4")), npy(good.replace(b"<f4", b">f4")), npy(good.replace(b"<f4", b"<f8")),
        npy(good.replace(b"(11, 13)", b"(-11, -13)")), npy(good.replace(b"(11, 13)", b"()")),
        npy(good.replace(b"(11, 13)", b"(143,)")), npy(good.replace(b"(11, 13)", b"(9999999999, 9999999999)")),
        npy(b"(" * 900), npy(b"__import__('os').abort()"), npy(good, start=b"\x93NUMPY\x03\x00"),
        npy(good, start=b"\x93NUMPX\x01\x00"), npy(good, body[:-1]), npy(good, body + b"\0"), b"\x93NUMPY", bytes(nan),
    ]  # fmt: skip
    for content in [*hostile, npy(good)]:
        paths["image"].write_bytes(content)
        digest = verify.hashlib.sha256(content).hexdigest()
        forge(paths[""], lambda v, digest=digest: v["image"].update(sha256=digest))
        verdict = verify.check(paths[""])
        assert verdict.valid == (content is not hostile[-1] and content == npy(good)), (content[:80], verdict)


def test_hostile_matrices_are_refused(tmp_path):
    paths = written("matrix", tmp_path)
    with np.load(paths["matrix"], allow_pickle=False) as stored:
        good = {name: stored[name] for name in stored.files}

    def packed(save=np.savez, **changed):
        stream = io.BytesIO()
        save(stream, **{**good, **changed})
        return stream.getvalue()

    backwards = good["indptr"].copy()
    backwards[3] = backwards[-1] + 5
    infinite = good["data"].copy()
    infinite[0] = np.inf
    hostile = [
        packed(indices=good["indices"] + 10**6), packed(indices=-1 - good["indices"]), packed(indptr=backwards),
        packed(indptr=good["indptr"] + 1), packed(indptr=good["indptr"][:-1]), packed(data=good["data"][:-1]),
        packed(data=infinite), packed(data=good["indices"]), packed(indices=good["data"]), packed(extra=good["shape"]),
        packed(shape=good["shape"][::-1].copy()), packed(shape=good["shape"] + 1), packed(shape=-good["shape"]),
        packed(save=np.savez_compressed), packed()[:-30], b"PK\x05\x06" + bytes(18), packed(indptr=good["indptr"] * 0),
    ]  # fmt: skip
    for content in [*hostile, packed()]:
        paths["matrix"].write_bytes(content)
        digest = verify.hashlib.sha256(content).hexdigest()
        forge(paths[""], lambda v, digest=digest: v["operator"]["matrix"].update(sha256=digest))
        verdict = verify.check(paths[""])
        assert verdict.valid == (content == packed()), verdict


# --- the checker by itself ------------------------------------------------------------------------------------------


def run_alone(folder, *arguments):
    """The checker copied out, in an isolated interpreter that must not have met ctrecon, torch or numba."""
    shutil.copy(verify.__file__, folder / "copied_checker.py")
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import copied_checker\n"
        "code = copied_checker.main(sys.argv[1:])\n"
        "met = {name.split('.')[0] for name in sys.modules} & {'ctrecon', 'torch', 'numba', 'astra'}\n"
        "assert not met, met\n"
        # Not ru_maxrss: that one remembers the size of the process that started this one.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(folder), *map(str, arguments)],
        capture_output=True, text=True, timeout=250, check=False, cwd=folder,
    )  # fmt: skip
    assert done.stderr == ""
    *lines, peak_kib = done.stdout.splitlines()
    return done.returncode, lines, int(peak_kib)


def test_the_checker_stands_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good, bad = written("fan", tmp_path / "a"), written("whitened", tmp_path / "b")
    bad["data"].write_bytes(bad["data"].read_bytes()[:-1] + b"\x7f")
    statement = verify.check(good[""]).statement
    assert run_alone(tmp_path, good[""])[:2] == (0, [f"VALID scan.certificate.json: {statement}"])
    code, lines, _ = run_alone(tmp_path, good[""], bad[""])
    assert code == 1
    assert [line.split()[0] for line in lines] == ["VALID", "REFUSED"]
    code, lines, _ = run_alone(tmp_path, tmp_path / "none.certificate.json", bad[""])
    assert code == 2
    assert [line.split()[0] for line in lines] == ["UNREADABLE", "REFUSED"]
    script = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "copied_checker.py"), str(good[""])], capture_output=True, check=False
    )
    assert script.returncode == 0


def test_image_and_data_may_be_named(tmp_path):
    paths = written("fan", tmp_path)
    elsewhere = {name: paths[name].rename(tmp_path / f"{name} elsewhere.npy") for name in ("image", "data")}
    assert not verify.check(paths[""]).readable
    assert verify.check(paths[""], elsewhere["image"], elsewhere["data"]).valid
    named = ["--image", str(elsewhere["image"]), "--data", str(elsewhere["data"])]
    assert verify.main([str(paths[""]), *named]) == 0
    assert not verify.check(paths[""], elsewhere["data"], elsewhere["image"]).valid


@pytest.mark.parametrize(("size", "views"), [(164, 120), (512, 720)])
def test_real_sizes_stay_small(size, views, tmp_path):
    geometry = FanBeam(
        angles_rad=tuple((2 * math.pi * np.arange(views) / views).tolist()), detector_count=size,
        detector_spacing_mm=0.2 * 512 / size, source_to_axis_mm=410.66, source_to_detector_mm=553.74,
    )  # fmt: skip
    grid = ImageGrid(rows=size, columns=size, pixel_mm=0.1483 * 512 / size)
    rng = np.random.default_rng(9)
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.05)
    data = JosephOperator(geometry, grid)(torch.from_numpy(image).double()[None, None])[0, 0].numpy()
    noise = 0.01 * rng.normal(size=data.shape)
    delta = float(np.linalg.norm(noise)) * (1 + 1e-5)
    paths = certify(image, data + noise, geometry, grid, delta).write(tmp_path / "scan.npy")
    code, _, peak_kib = run_alone(tmp_path, paths[""])
    assert code == 0
    assert peak_kib < 600 << 10
    forge(paths[""], lambda v: v["operator"]["geometry"].update(detector_offset_mm=0.001))
    if size < 200:
        assert not verify.check(paths[""]).valid


# --- making and writing ---------------------------------------------------------------------------------------------


def test_an_image_that_misses_delta_gets_its_true_residual():
    image, data, kept, residual = problem("fan")
    found = certify(image * np.float32(1.001), data, delta=residual, **kept)
    assert isinstance(found, NotCertified)
    assert found.residual > residual
    assert "above delta" in found.reason


def test_bad_arguments_are_named():
    image, data, kept, _ = problem("fan")
    for delta in (0.0, -1.0, math.nan, math.inf, "1", None, True):
        with pytest.raises(SettingError, match="delta"):
            certify(image, data, delta=delta, **kept)
    with pytest.raises(InputError, match="float32 or float64"):
        certify(image.astype(np.int16), data, delta=1.0, **kept)
    with pytest.raises(InputError, match="not finite"):
        certify(image * np.float32(np.nan), data, delta=1.0, **kept)
    with pytest.raises(InputError, match="the geometry measures"):
        certify(image, data[:, :-1], delta=1.0, **kept)
    with pytest.raises(InputError, match="weights"):
        certify(image, data, delta=1.0, weights=-np.ones_like(data), **kept)
    with pytest.raises(SettingError, match="needs a geometry"):
        certify(image, data, None, None, 1.0)
    with pytest.raises(InputError, match="cannot read"):
        certify(image, data, delta=1e3, source="nowhere.mat", **kept)


def test_writing_leaves_no_partial_files(tmp_path):
    image, data, kept, _ = problem("fan")
    source = tmp_path / "measured.npy"
    source.write_bytes(b"raw")
    certificate = certify(image, data, delta=1e3, source=source, **kept)
    assert certificate.values["source"] == {"name": "measured.npy", "sha256": verify.hashlib.sha256(b"raw").hexdigest()}
    with pytest.raises(OutputError, match="cannot be written"):
        certificate.write(tmp_path / "missing" / "scan.npy")
    with pytest.raises(OutputError, match=r"S\.npy"):
        certificate.write(tmp_path / "scan.png")
    (tmp_path / "scan.data.npy").mkdir()
    with pytest.raises(OutputError):
        certificate.write(tmp_path / "scan.npy")
    assert {p.name for p in tmp_path.iterdir()} == {"measured.npy", "scan.data.npy"}, "all or nothing"
    (tmp_path / "scan.data.npy").rmdir()
    paths = certificate.write(tmp_path / "scan.npy")
    assert verify.check(paths[""]).valid
    np.testing.assert_array_equal(np.load(paths["image"], allow_pickle=False), image)
    again = certify(image, data, delta=1e3, source=Path(source), **kept)
    assert again.files == certificate.files
