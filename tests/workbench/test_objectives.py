"""What the descent lowers is a choice; what ends it and what is certified are the data's own, whatever was chosen."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.io.write import write_scan
from ctrecon.reconstruction.objectives import ENERGIES, REGULARISERS

GRID = ct.Grid(rows=32, columns=32, pixel_mm=1.0)
PARALLEL = ct.ParallelBeam(
    angles_rad=tuple(np.linspace(0, np.pi, 36, endpoint=False)), detector_count=40, detector_spacing_mm=1.0
)


@pytest.fixture(scope="module")
def counted() -> ct.Scan:
    return ct.simulate("head", geometry=PARALLEL, grid=GRID, photons=2e4, seed=1).scan


@pytest.mark.sampled(4)
@pytest.mark.parametrize("method", ["energy", "gradient"])
@pytest.mark.parametrize(
    ("energy", "regularise"), list(itertools.product(ENERGIES, (None, *REGULARISERS))), ids=lambda v: str(v)
)
def test_every_energy_falls_and_delta_is_that_of_the_data(
    counted: ct.Scan, method: str, energy: str, regularise: str | None
) -> None:
    """Whichever energy fell, the residual, delta and certificate are those of ||W^(1/2)(Au - f)||."""
    result = ct.reconstruct(counted, method=method, energy=energy, regularise=regularise)
    assert result.certified, str(result)
    assert result.delta.norm == "whitened"
    energies = [record.energy for record in result.history]
    assert all(after < before for before, after in itertools.pairwise(energies))
    last = result.history[-1]
    assert last.residual == pytest.approx(result.residual, rel=1e-4)
    # Another energy fell than half the residual squared.
    other = max(abs(record.energy - record.residual**2 / 2) / record.energy for record in result.history)
    assert (other > 0.01) is ((energy, regularise) != ("least-squares", None))


@pytest.mark.long
def test_a_heavier_weight_makes_a_smoother_image(counted: ct.Scan) -> None:
    def roughness(image: np.ndarray) -> float:
        return float(np.abs(np.diff(image)).sum())

    # Steepest descent ends on the sphere ||Au - f|| = delta, so the images differ in roughness alone.
    made = [
        ct.reconstruct(counted, method="gradient", regularise="huber-tv", weight=weight).image
        for weight in (0.05, 0.5, 2.0)
    ]
    assert roughness(made[0]) > 1.02 * roughness(made[1]) > 1.02 * 1.02 * roughness(made[2])


def test_an_energy_of_ones_own(counted: ct.Scan) -> None:
    A = ct.operator(counted)
    f, w = (torch.from_numpy(x)[None, None].float() for x in (counted.sinogram, 1 / counted.variance))
    mine = LeastSquares(A, f, w) + 20.0 * HuberTV(1e-4)
    result = ct.reconstruct(counted, energy=mine, method="gradient")
    assert result.certified
    assert result.settings.energy.startswith("given in Python: ")
    with pytest.raises(ct.errors.SettingError, match="give it again"):
        ct.reconstruct(counted, result.settings)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"energy": "entropy"}, "no --energy 'entropy'; use least-squares, poisson"),
        ({"regularise": "wavelets"}, "use huber-tv"),
        ({"weight": 2.0}, "--weight 2 is that of --regularise"),
        ({"regularise": "huber-tv", "weight": 0}, "weight must be > 0"),
        ({"method": "cgls", "energy": "poisson"}, "cgls lowers an energy of its own; drop --energy"),
        ({"method": "fbp", "regularise": "huber-tv"}, "drop --regularise"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ct.errors.SettingError) as why:
        ct.Settings(**options)  # type: ignore[arg-type]
    assert words in str(why.value)


def test_counts_are_needed_by_name(counted: ct.Scan) -> None:
    bare = ct.Scan(counted.sinogram, PARALLEL, grid=GRID)
    with pytest.raises(ct.errors.InputError, match="no counts and white field, which --energy poisson needs"):
        ct.reconstruct(bare, energy="poisson")
    with pytest.raises(ct.errors.SettingError, match="lowers an energy of its own"):
        ct.reconstruct(bare, method="cgls", energy=HuberTV(1e-4))


def test_from_the_command_line(counted: ct.Scan, tmp_path: Path) -> None:
    write_scan(tmp_path / "counted.npz", counted)
    options = "--energy poisson --regularise huber-tv --weight 0.3 --json --no-preview"
    call = f"reconstruct {tmp_path}/counted.npz -o {tmp_path}/u.npy {options}"
    done = CliRunner().invoke(cli, call.split(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["status"] == "certified"
    assert ct.verify(tmp_path / "u.certificate.json")
