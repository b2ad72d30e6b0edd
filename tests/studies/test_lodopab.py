"""The protocol of LoDoPaB-CT: its measures by hand, its files from end to end, other slices brought to it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.errors import InputError, SettingError
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.studies.lodopab import study
from ctrecon.studies.lodopab.measures import measures
from ctrecon.studies.lodopab.protocol import MU_MAX_PER_MM, Case, Protocol

SMALL = Protocol(side=24, wide_mm=100.0, views=40, cells=35, fine=72)


def disc(size: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    # Not alike when turned or mirrored.
    inside = 1.0 * (x * x + y * y < 0.6) + ((x - 0.3) ** 2 + (y + 0.4) ** 2 < 0.05)
    return (0.15 * MU_MAX_PER_MM * inside).astype(np.float32)


def hann(scanner: object, case: Case) -> torch.Tensor:
    """One filtered back projection, for the oracle's many."""
    return scanner.precondition.with_filter("hann", 0.6)(case.data)  # type: ignore[attr-defined]


def ssim_by_hand(image: np.ndarray, truth: np.ndarray, span: float) -> float:
    """Means over windows of 7 x 7, covariances with n - 1, constants of 0.01 and 0.03 (Wang et al. 2004)."""
    scores = []
    for i in range(truth.shape[0] - 6):
        for j in range(truth.shape[1] - 6):
            a, b = image[i : i + 7, j : j + 7].ravel(), truth[i : i + 7, j : j + 7].ravel()
            (va, c), (_, vb) = np.cov(a, b)
            one, two = (0.01 * span) ** 2, (0.03 * span) ** 2
            scores.append((2 * a.mean() * b.mean() + one) * (2 * c + two)
                          / ((a.mean() ** 2 + b.mean() ** 2 + one) * (va + vb + two)))  # fmt: skip
    return float(np.mean(scores))


def test_the_measures_are_those_of_the_challenge() -> None:
    rng = np.random.default_rng(0)
    truth = 0.2 + 0.5 * rng.uniform(size=(16, 20))
    image = truth + 0.1 * rng.standard_normal(truth.shape)
    found, span = measures(image, truth, 1.0), truth.max() - truth.min()
    error = np.mean((image - truth) ** 2)
    assert found.psnr == pytest.approx(10 * np.log10(span**2 / error))
    assert found.psnr_fr == pytest.approx(10 * np.log10(1 / error))
    assert found.ssim == pytest.approx(ssim_by_hand(image, truth, span))
    assert found.ssim_fr == pytest.approx(ssim_by_hand(image, truth, 1.0))
    assert found.ssim != pytest.approx(found.ssim_fr)
    # Another unit changes nothing.
    assert measures(9 * image, 9 * truth, 9.0).to_dict() == pytest.approx(found.to_dict())
    with pytest.raises(SettingError, match="constant"):
        measures(image, np.ones_like(truth), 1.0)


@pytest.mark.long
def test_a_slice_is_brought_to_the_protocol_and_scored_by_every_method() -> None:
    image = np.zeros((40, 44), np.float32)
    image[8:32, 10:34] = disc(24)
    image[0, 0] = 5
    case = SMALL.brought(image, "someone", 3)
    assert np.array_equal(case.truth[0, 0].numpy(), disc(24))
    away = case.weights * (SMALL.scanner.operator(case.truth) - case.data).square()
    assert 0.8 < float(away.mean()) < 1.5
    direction = UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))
    methods = {"fbp": study.filtered_back_projection, "huber-tv": study.huber_tv,
               "learned": study.energy_dissipation(direction)}  # fmt: skip
    rows = {row.method: row for row in study.scored(SMALL.scanner, [case], methods)}
    assert rows["learned"].certified
    assert rows["learned"].misfit <= 1
    assert rows["huber-tv"].measures.psnr > rows["fbp"].measures.psnr
    other = SMALL.brought(image, "someone", 4)
    assert not torch.equal(other.data, case.data)
    with pytest.raises(InputError, match="20 x 40 pixels"):
        SMALL.brought(image[:20, :40], "someone", 3)


def set_of(folder: Path, images: int = 2) -> None:
    """Files as the set has them: data over 81.35858, truths with x first."""
    protocol = Protocol()
    observations, truths = np.zeros((images, 1000, 513), np.float32), np.zeros((images, 362, 362), np.float32)
    image = disc(362)
    clean = protocol.scanner.operator(torch.from_numpy(image)[None, None])[0, 0].numpy()
    for k in range(images):
        counts = np.maximum(np.random.default_rng(k).poisson(4096 * np.exp(-clean)), 0.1)
        observations[k] = -np.log(counts / 4096) / 81.35858
        truths[k] = np.rot90(image, -1) / MU_MAX_PER_MM
    for name, values in (("observation", observations), ("ground_truth", truths)):
        with h5py.File(folder / f"{name}_test_000.hdf5", "w") as file:
            file.create_dataset("data", data=values)


@pytest.mark.long
def test_the_set_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_of(tmp_path)
    (tmp_path / "patient_ids_rand_test.csv").write_text("7\n9\n")
    monkeypatch.setattr(study, "filtered_back_projection", hann)
    # The checker's own projector takes a quarter of a minute at this size; the small case above has it.
    monkeypatch.setattr(study, "certified", lambda *_: torch.tensor([False]))
    line = ["reproduce", "lodopab", "--set", str(tmp_path), "--method", "fbp", "-o", str(tmp_path / "rows.json")]
    result = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "36.25" in result.output
    assert "other images" not in result.output
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["patient"] for row in rows] == ["7", "9"]
    # Turned or mirrored the truth would be another image.
    assert all(row["psnr"] > 28 for row in rows)
    case = next(Protocol().of_set(tmp_path, 1))
    assert np.allclose(case.truth[0, 0].numpy(), disc(362), atol=1e-6)
    image = hann(Protocol().scanner, case)[0, 0].double().numpy()
    assert measures(image, np.asarray(case.truth[0, 0].double().flip(0)), MU_MAX_PER_MM).psnr < 25


def test_what_is_not_the_set_is_refused(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        result = CliRunner().invoke(cli, ["reproduce", "lodopab", *words])
        assert result.exit_code == 2, result.output
        return " ".join(result.output.split())

    assert "--set FOLDER" in refused()
    assert "holds no observation_test_*.hdf5" in refused("--set", str(tmp_path))
    with h5py.File(tmp_path / "observation_test_000.hdf5", "w") as file:
        file.create_dataset("data", data=np.zeros((2, 4, 5), np.float32))
    assert "without ground_truth_test_000.hdf5" in refused("--set", str(tmp_path))
    with h5py.File(tmp_path / "ground_truth_test_000.hdf5", "w") as file:
        file.create_dataset("data", data=np.zeros((1, 4, 5), np.float32))
    assert "beside" in refused("--set", str(tmp_path))
