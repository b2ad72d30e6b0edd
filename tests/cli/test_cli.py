"""The commands as a user runs them: what they print, write and return."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_scans import files, run, simulated

from ctrecon.cli.main import Commands


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("scan") / "scan.npy")


@pytest.fixture(scope="module")
def delta(scan: Path) -> float:
    words = ("simulate", "--phantom", "head", "--size", 48, "--views", 40, "--noise", "2%", "--json")
    out = run(*words, "--overwrite", "-o", scan)
    return float(json.loads(out.output)["true_delta"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For what does not depend on the size: to find that no image meets delta takes long."""
    return simulated(tmp_path_factory.mktemp("small") / "scan.npy", 24, 24)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", ["energy", "gradient", "cgls", "huber-tv"])
def test_every_iterative_method_honours_delta(scan: Path, delta: float, tmp_path: Path, method: str) -> None:
    image = tmp_path / "u.npy"
    result = run("reconstruct", scan, "--delta", delta, "--method", method, "-o", image, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)
    assert facts["status"] == "certified"
    # CGLS takes whole steps and a network's answers near the end are taken whole; the others end close to delta.
    assert (0.7 if method in ("cgls", "energy") else 0.95) * delta < facts["residual"] <= delta == facts["delta"]
    assert facts["iterations"] >= 1
    assert Path(facts["certificate"]).is_file()
    truth = np.load(scan.with_name("scan.truth.npy"))
    error = np.linalg.norm(np.load(image) - truth) / np.linalg.norm(truth)
    assert error < 0.35
    assert np.linalg.norm(np.load(image)[::-1] - truth) / np.linalg.norm(truth) > error
    assert files(tmp_path) == {"u.npy", "u.data.npy", "u.certificate.json", "u.history.json", "u.png"}
    assert run("verify", image).exit_code == 0


def test_a_delta_that_is_not_met_gives_the_image_its_true_residual_and_code_3(small: Path, tmp_path: Path) -> None:
    image, scan = tmp_path / "u.npy", small
    run("reconstruct", scan, "--delta", "10%", "-o", image)
    assert (tmp_path / "u.certificate.json").exists()
    result = run("reconstruct", scan, "--delta", "1e-9", "-o", image, "--iterations", 3, "--overwrite")
    assert result.exit_code == 3
    assert "infeasible" in result.output
    assert files(tmp_path) == {"u.npy", "u.history.json", "u.png", "u.certificate.json", "u.data.npy", "u.dual.npy"}
    # One step is too few for a delta that an image could meet: nothing is proved, and the old proof is gone.
    few = ("--method", "gradient", "--iterations", 1, "--delta", "10%", "-o", image, "--overwrite")
    assert "delta not met" in run("reconstruct", scan, *few).output
    assert files(tmp_path) == {"u.npy", "u.history.json", "u.png"}
    facts = json.loads(run("reconstruct", scan, *few, "--json").output)
    assert facts["status"] == "delta not met"
    assert facts["certificate"] is None
    assert facts["residual"] > facts["delta"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", ["gradient", "cgls", "huber-tv"])
def test_progress_is_shown_with_residual_and_delta(scan: Path, delta: float, tmp_path: Path, method: str) -> None:
    result = run("reconstruct", scan, "--delta", delta, "--method", method, "-o", tmp_path / "u.npy")
    lines = [line for line in result.output.splitlines() if line.startswith("iteration")]
    assert len(lines) >= 5
    assert all("residual" in line and f"delta {delta:.6g}" in line for line in lines)
    assert len({line.split()[3] for line in lines}) >= 5


def test_fbp_honours_delta_by_its_filter(small: Path, tmp_path: Path) -> None:
    image = tmp_path / "u.npy"
    for args, code, words in (
        (("--delta", "30%"), 0, "filter hann"),
        (("--delta", "30%", "--window", "ram-lak"), 0, "filter ram-lak"),
        (("--delta", "0.1%"), 3, "infeasible"),
    ):
        result = run("reconstruct", small, "--method", "fbp", *args, "-o", image, "--overwrite", "--json")
        assert result.exit_code == code, result.output
        assert json.loads(result.output)["reason"].startswith(words)


def test_the_output_says_what_was_assumed(tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.random.default_rng(0).random((30, 32)) + 1)
    bare = run("reconstruct", tmp_path / "bare.npy", "--delta", "50%", "-o", tmp_path / "u.npy")
    assert bare.exit_code == 2, "no geometry is assumed"
    assert "--geometry" in bare.stderr
    assert "parallel-180 or parallel-360" in bare.stderr
    asked = ("--geometry", "parallel-180")
    result = run("reconstruct", tmp_path / "bare.npy", *asked, "--delta", "50%", "-o", tmp_path / "u.npy")
    assert result.exit_code == 0, result.output
    assert "parallel" in result.output
    assert "180" in result.output
    assert "residual" in result.output


def test_a_tampered_image_is_refused(scan: Path, tmp_path: Path) -> None:
    image = tmp_path / "u.npy"
    assert run("reconstruct", scan, "--delta", "10%", "-o", image).exit_code == 0
    values = bytearray(image.read_bytes())
    values[-1] ^= 1
    image.write_bytes(values)
    result = run("verify", tmp_path / "u.certificate.json")
    assert result.exit_code == 1
    assert "REFUSED" in result.output
    assert run("verify", tmp_path / "missing.certificate.json").exit_code == 2


def test_counts_give_the_whitened_norm(tmp_path: Path) -> None:
    scan = tmp_path / "counts.npz"
    assert run("simulate", "--size", 48, "--views", 40, "--photons", 1e4, "-o", scan).exit_code == 0
    facts = json.loads(run("reconstruct", scan, "-o", tmp_path / "u.npy", "--json").output)
    assert facts["norm"] == "whitened"
    assert "chi-square" in facts["delta_from"]
    assert (tmp_path / "u.weights.npy").exists() is (facts["status"] == "certified")


def test_info_tells_the_geometry(scan: Path) -> None:
    facts = json.loads(run("info", scan, "--json").output)
    assert facts["geometry"] == "fan"
    assert facts["views"] == 40
    assert "48 x 48" in facts["image"]
    assert "delta auto" in run("info", scan).output


@pytest.mark.parametrize("option", [("--size", "32"), ("--views", "9"), ("--beam", "fan")])
def test_simulate_takes_the_scanner_from_one_place(scan: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    file = scan.with_suffix(".json")
    assert run("simulate", "--geometry", file, "-o", tmp_path / "a.npz").exit_code == 0
    result = run("simulate", "--geometry", file, *option, "-o", tmp_path / "b.npz")
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert run("simulate", *option, "-o", tmp_path / "c.npz").exit_code == 0


def test_every_listed_command_exists_and_explains_itself() -> None:
    for name in Commands.names():
        result = run(name, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 5
        assert name in run("--help").output


@pytest.mark.long
def test_training_from_the_command_line_and_use_of_its_weights(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.safetensors"
    small = ("--scanner", "walnut", "--size", 24, "--batch", 2, "--threads", 1, "--validation", 1)
    args = ("train-phantoms", "-o", out, *small)
    result = run(*args, "--steps", 3)
    assert result.exit_code == 0, result.output
    assert {"tiny.safetensors", "tiny.md", "tiny.training.safetensors", "tiny.log.jsonl"} <= files(tmp_path)
    card = out.with_suffix(".md").read_text()
    assert "seed 0, 3 steps" in card
    # The command is on the card, and nothing of this machine.
    assert "`ctrecon train-phantoms --output tiny.safetensors --steps 3 --batch 2 --threads 1" in card
    assert str(tmp_path) not in card
    again = (*args, "--validation", 0, "--overwrite")  # scored once is enough
    assert "resuming" in run(*again, "--steps", 4).output
    assert run(*again, "--steps", 3, "--fresh", "--start", out).exit_code == 0
    assert run("reconstruct", scan, "--delta", "10%", "--prior", out, "-o", tmp_path / "u.npy").exit_code == 0


@pytest.mark.parametrize(
    ("words", "delta"),
    [
        ("FILE --delta", "auto"),
        ("FILE --delta --method cgls", "auto"),
        ("--method cgls FILE --delta -o u.npy", "auto"),
        ("FILE --delta 1%", "1%"),
        ("FILE --delta 2.5 --method cgls", "2.5"),
        ("--delta=2.5 FILE", "2.5"),
        ("--delta 1% FILE", "1%"),
        ("FILE", "auto"),
    ],
)
def test_delta_without_a_value_means_auto(words: str, delta: str) -> None:
    """Its value is what follows, unless that is another option or the end of the line."""
    from ctrecon.cli.commands.reconstruct import command as reconstruct

    params = reconstruct.make_context("reconstruct", words.replace("FILE", "scan.npy").split()).params
    assert params["delta"] == delta
    assert str(params["scan_file"]) == "scan.npy"
