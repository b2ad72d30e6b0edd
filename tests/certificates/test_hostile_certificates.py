"""Hostile bytes, sizes, arrays, matrices and values in the place of a certificate or of what lies beside it."""

import json
import tracemalloc

import dense
import dual_cases
import numpy as np
import pytest
from certificate_cases import forge, restate, written
from click.testing import CliRunner

from ctrecon.certificates import verify
from ctrecon.cli.main import cli

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


@pytest.mark.sampled(1)
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


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("views", "side", "words"),
    [(1, 16384, "18432 MiB"), (90_000, 1536, "steps"), (4, 8192, "MiB")],
)  # fmt: skip
def test_small_files_that_ask_for_much_are_refused_with_the_figure_and_the_remedy(views, side, words, tmp_path):
    """An infeasible certificate brings no image: only its words say how many pixels and views there are."""
    made = dual_cases.infeasible(1)[0]
    path = made.write(tmp_path / "s.npy")[""]
    zeros = np.zeros((views, 1))
    for part in ("data", "dual"):
        np.save(tmp_path / f"s.{part}.npy", zeros)

    def grow(v):
        v["operator"]["geometry"].update(angles_rad=[0] * views, detector_count=1)
        v["operator"]["grid"].update(rows=side, columns=side)
        for part in ("data", "dual"):
            raw = (tmp_path / f"s.{part}.npy").read_bytes()
            v[part].update(shape=[views, 1], sha256=verify.hashlib.sha256(raw).hexdigest())
        v["image_shape"] = [side, side]

    dual_cases.forged(path, grow)
    assert path.stat().st_size < verify.MAX_BYTES
    tracemalloc.start()
    try:
        verdict = verify.check(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "allow it with --effort" in verdict.reason, verdict.reason
    assert words in verdict.reason
    assert peak < 120 << 20


def test_effort_allows_what_is_large(tmp_path, monkeypatch, capsys):
    path = written("fan", tmp_path)[""]
    monkeypatch.setattr(verify, "MAX_WORK", 1000)
    reason = verify.check(path).reason
    needed = int(reason.rsplit(" ", 1)[1])
    assert needed > 1
    assert verify.check(path, effort=needed).valid
    assert not verify.check(path, effort=needed - 1).valid
    assert verify.main(["--effort", str(needed), str(path)]) == 0
    assert verify.main([str(path)]) == 1
    assert "REFUSED" in capsys.readouterr().out
    assert CliRunner().invoke(cli, ["verify", str(path), "--effort", str(needed)]).exit_code == 0
    assert CliRunner().invoke(cli, ["verify", str(path)]).exit_code == 1


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
    good = np.load(paths["matrix"], allow_pickle=False)
    original = json.loads(paths[""].read_bytes())

    def tampered(at, column, value):
        entries = good.copy()
        entries[at, column] = value
        return entries

    rows, columns = original["operator"]["shape"]
    hostile = [
        tampered(3, 0, rows), tampered(3, 0, -1), tampered(3, 0, 0.5), tampered(3, 1, columns), tampered(3, 1, 1e300),
        tampered(3, 2, np.nan), tampered(3, 2, np.inf), tampered(3, slice(0, 2), good[4, :2]), good[:, :2].copy(),
        np.vstack([good, good]), good[:0], good.T.copy(), good.astype(np.float32), good.astype(np.int64),
        good + np.array([0, 0, 1e-3]),
    ]  # fmt: skip
    for entries in [*hostile, good]:
        np.save(paths["matrix"], entries)
        raw = paths["matrix"].read_bytes()
        claim = {"sha256": verify.hashlib.sha256(raw).hexdigest(), "shape": list(entries.shape),
                 "dtype": entries.dtype.str}  # fmt: skip
        forge(paths[""], lambda v, claim=claim: v["operator"].update(entries=claim))
        verdict = verify.check(paths[""])
        assert verdict.valid == (entries is good), verdict
    for shape in ([rows + 1, columns], [columns, rows], [rows * columns, 1], [1 << 40, 1 << 40]):
        forge(paths[""], lambda v, shape=shape: v["operator"].update(shape=shape))
        assert not verify.check(paths[""]).valid


def _leaves(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items)[:12]:
        yield from _leaves(inner, (*path, key))
    yield path, value


def test_a_certificate_with_a_hostile_value_is_refused_or_true(tmp_path):
    """All hashes and the statement made right: -0.0, 2^53 + 1, 1e308, look-alikes, other types, one bit more."""
    path = written("fan", tmp_path)[""]
    honest, kept = path.read_bytes(), json.loads(path.read_bytes())
    hostile = [-0.0, 2**53 + 1, 10**400, 1e308, 5e-324, True, None, chr(0xFF11), "NaN", "", [], {}, [1]]
    data, tried, valid = np.load(tmp_path / "scan.data.npy").ravel().astype(np.float64), 0, 0
    for where, value in _leaves(kept):
        if not where or where[0] in ("made_with", "certificate_sha256", "statement"):
            continue  # the writer's versions mean nothing; the others are made right
        more = [f"{value} ", value.upper()] if isinstance(value, str) and value else []
        more += [-value, value * (1 + 2**-40)] if isinstance(value, float) and value else []
        for other in (*hostile, *more):
            if (type(other), repr(other)) == (type(value), repr(value)):
                continue

            def change(values, where=where, other=other):
                at = values
                for key in where[:-1]:
                    at = at[key]
                at[where[-1]] = other
                try:
                    restate(values)
                except (verify.Refused, KeyError, TypeError, ValueError, OverflowError, AttributeError):
                    pass  # the checker is to find that itself

            verdict = verify.check(forge(path, change))
            tried += 1
            if verdict.valid:
                misfit = dense.matrix(verdict.claims["operator"]) @ np.load(tmp_path / "scan.npy").ravel() - data
                assert np.linalg.norm(misfit) <= verdict.claims["delta"] * (1 + 1e-12), where
                valid += 1
            path.write_bytes(honest)
    assert tried > 400
    assert 0 < valid < 60
    assert verify.check(path).valid
