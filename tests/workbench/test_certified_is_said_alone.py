"""No message says "not met" and "certified" at once: whether delta is met and whether it is proved are one thing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.workbench.verdict import facts

PACKAGE = Path(__file__).parents[2] / "ctrecon"
BEAM = ct.ParallelBeam(angles_rad=tuple(np.arange(8) / 3), detector_count=16)


def contradicts(said: str) -> bool:
    """Of one message, line by line; "not certified" is the same word said rightly."""
    return any(
        "not met" in line and "certified" in line.replace("not certified", "").replace("uncertified", "")
        for line in said.lower().splitlines()
    )  # fmt: skip


def messages(text: str) -> Iterator[tuple[int, str]]:
    """Whole strings with the words of f-strings in one piece, docstrings and help texts of several states apart."""
    tree = ast.parse(text)
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in apart or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(p.value for p in node.values if isinstance(p, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_no_string_of_the_package_does() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {said}" for path in sorted(PACKAGE.rglob("*.py"))
        if "certified" in (text := path.read_text(encoding="utf-8")).lower()
        for line, said in messages(text) if contradicts(said)
    ]  # fmt: skip
    assert found == []


def test_it_would_be_noticed() -> None:
    assert contradicts("certified, though delta is not met")
    assert not contradicts("not certified: delta is not met")
    assert not contradicts("certified\ndelta not met")
    (found,) = messages('x = f"certified {a}; delta not met"')
    assert contradicts(found[1])


@pytest.mark.parametrize(
    "method", ["cgls", "energy", *(pytest.param(m, marks=pytest.mark.long) for m in ("huber-tv", "gradient", "fbp"))]
)  # fmt: skip
@pytest.mark.parametrize("delta", [1e-4, 2.0])
def test_no_run_that_misses_or_meets_delta_does(method: str, delta: float, tmp_path: Path) -> None:
    scan = ct.Scan(sinogram=np.random.default_rng(1).random((8, 16)) + 1, geometry=BEAM)
    said: list[str] = []
    limit = {} if method in ("fbp", "huber-tv") else {"iterations": 2}
    result = ct.reconstruct(scan, method=method, delta=delta, progress=lambda now: said.append(str(now)), **limit)
    said += [str(result), repr(result), result.conclusion.outcome.reason, *result.scan.notes]
    told = facts(result.conclusion, {"image": tmp_path / "u.npy"})
    assert (told["status"] == "certified") is result.certified
    said += [str(value) for value in told.values()]
    assert not [one for one in said if contradicts(one)]
    if not result.certified:
        assert all("certified" not in one.replace("not certified", "").replace("NOT certified", "") for one in said)


def test_no_command_that_misses_delta_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("s.npy", np.random.default_rng(1).random((8, 16)) + 1)
    line = "reconstruct s.npy --geometry parallel-180 --method cgls --iterations 2 --delta 0.001 --no-preview -o u.npy"
    done = CliRunner().invoke(cli, line.split())
    assert done.exit_code == 3
    assert not contradicts(done.output)
    assert "certified" not in done.output.replace("not certified", "").replace("u.certificate", "")
