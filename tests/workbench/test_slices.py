"""Many slices: what they share is made once, an interrupt loses none that is done, each has its own facts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.operators.base import LinearOperator
from ctrecon.reconstruction import run as running
from ctrecon.reconstruction.settings import Settings
from ctrecon.workbench.stack.reconstruct import reconstruct_stack

RAW = "--rows 4 --columns 48 --per-turn 48 --turns 1.3 --feed 2 --photons 1e3 --seed 3"


def run(words: str) -> Result:
    return CliRunner().invoke(cli, words.split(), catch_exceptions=False)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many") / "raw"
    assert run(f"synthesise-projections -o {folder} {RAW}").exit_code == 0
    return folder


@pytest.mark.long
def test_what_all_slices_share_is_made_once(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimated, loaded = [], []
    norm, load = LinearOperator.norm, running.load_ct_network

    def counted(self: LinearOperator) -> float:
        if self._norm is None:
            estimated.append(self)
        return norm(self)

    def once(name: str) -> object:
        loaded.append(name)
        return load(name)

    monkeypatch.setattr(LinearOperator, "norm", counted)
    monkeypatch.setattr(running, "load_ct_network", once)
    made = reconstruct_stack(raw, tmp_path / "v.zarr", Settings(size=40, pixel_mm=12.0), spacing_mm=0.3)
    assert len(made.records) == made.planned >= 3
    assert len(estimated) == 1
    assert loaded == ["ct-default"]
    assert all(one["grid"] == made.records[0]["grid"] for one in made.records)


def interrupted_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    real = running.prepare

    def some(*args: object, **options: object) -> object:
        begun.append(0)
        if len(begun) > count:
            raise KeyboardInterrupt
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(running, "prepare", some)


@pytest.mark.long
def test_an_interrupt_loses_no_slice_that_is_done(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(2, monkeypatch)
    done = run(f"reconstruct {raw} --spacing 0.2 --size 40 --pixel-mm 12 --method cgls --no-preview -o {tmp_path}/s/")
    assert done.exit_code == 130
    assert "interrupted; the series has the 2 of " in done.output
    assert "no result was written" not in done.output
    assert len(list((tmp_path / "s").glob("ct-*.dcm"))) == 2
    assert run(f"verify {tmp_path}/s").exit_code == 0


def test_an_interrupt_before_the_first_slice_writes_nothing(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_after(0, monkeypatch)
    done = run(f"reconstruct {raw} --all-slices --size 40 --pixel-mm 12 --method cgls -o {tmp_path}/s/")
    assert done.exit_code == 130
    assert "no result was written" in done.output
    assert not (tmp_path / "s").exists()


def test_each_slice_has_its_own_path_and_facts(raw: Path, tmp_path: Path) -> None:
    options = "--spacing 0.2 --size 40 --pixel-mm 12 --method cgls --json"
    done = run(f"reconstruct {raw} {options} -o {tmp_path}/s/")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    slices = told["slices"]
    assert (told["planned"], told["interrupted"]) == (len(slices), False)
    assert [one["slice"] for one in slices] == list(range(1, len(slices) + 1))
    for name in ("image", "certificate", "z_mm", "residual"):
        assert len({one[name] for one in slices}) == len(slices), name
    for one in slices:
        assert float(dcmread(one["image"]).ImagePositionPatient[2]) == pytest.approx(one["z_mm"], abs=1e-6)
        claim = json.loads(Path(one["certificate"]).read_text())
        assert np.isclose(claim["residual"], one["residual"], rtol=1e-9)
