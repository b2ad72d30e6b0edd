"""The commands as a user runs them: what they print, write and return, and how they refuse."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ctrecon.cli.main import Commands, cli

WORST_HELP_SECONDS = 3.0  # a hundredth of it in practice; this only catches a heavy import


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.npy"
    result = run("simulate", "--phantom", "head", "--size", 48, "--views", 40, "--noise", "2%", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def delta(scan: Path) -> float:
    words = ("simulate", "--phantom", "head", "--size", 48, "--views", 40, "--noise", "2%", "--json")
    out = run(*words, "--overwrite", "-o", scan)
    return float(json.loads(out.output)["true_delta"])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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


def test_a_delta_that_is_not_met_gives_the_image_its_true_residual_and_code_3(scan: Path, tmp_path: Path) -> None:
    image = tmp_path / "u.npy"
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


@pytest.mark.parametrize("method", ["gradient", "cgls", "huber-tv"])
def test_progress_is_shown_with_residual_and_delta(scan: Path, delta: float, tmp_path: Path, method: str) -> None:
    result = run("reconstruct", scan, "--delta", delta, "--method", method, "-o", tmp_path / "u.npy")
    lines = [line for line in result.output.splitlines() if line.startswith("iteration")]
    assert len(lines) >= 5
    assert all("residual" in line and f"delta {delta:.6g}" in line for line in lines)
    assert len({line.split()[3] for line in lines}) >= 5


def test_fbp_honours_delta_by_its_filter(scan: Path, tmp_path: Path) -> None:
    image = tmp_path / "u.npy"
    for args, code, words in (
        (("--delta", "30%"), 0, "filter hann"),
        (("--delta", "30%", "--window", "ram-lak"), 0, "filter ram-lak"),
        (("--delta", "0.1%"), 3, "infeasible"),
    ):
        result = run("reconstruct", scan, "--method", "fbp", *args, "-o", image, "--overwrite", "--json")
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


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--delta", "-1"), "-1"),
        (("--delta", "0"), "0"),
        (("--delta", "nan"), "nan"),
        (("--delta", "soon"), "soon"),
        (("--delta", "0%"), "0%"),
        (("--every", "0"), "every"),
        (("--size", "-3"), "-3"),
        (("--pixel-mm", "0"), "pixel_mm"),
        (("--center", "left"), "left"),
        (("--center", "1e9"), "1000000000"),
        (("--prior", "no-such"), "no-such"),
        (("--geometry", "nowhere.json"), "nowhere.json"),
        (("--operator", "astra"), "GPU"),
        (("--quantile", "1.5"), "1.5"),
        (("--device", "toaster"), "toaster"),
        (("--no-such-option",), "--no-such-option"),
        (("--method", "fbp", "--iterations", "3"), "--iterations"),
        (("--window", "hann"), "--window"),
        (("--quantile", "2", "--delta", "1%"), "2"),
        (("--quantile", "0.9", "--delta", "1%"), "--quantile"),
        (("--row", "0"), "--row"),
        (("-o", "u.tiff"), "u.tiff"),
        (("-o", "no/such/folder/u.npy"), "no/such/folder"),
    ],
)
def test_bad_settings_are_one_line_code_2_and_no_file(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = () if "-o" in args else ("-o", "u.npy")
    result = run("reconstruct", scan, *output, *args)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1
    assert lines[0].startswith("ctrecon: ")
    assert words in lines[0]
    assert "Traceback" not in result.output
    assert files(tmp_path) == set()


def test_no_output_replaces_an_input(scan: Path, tmp_path: Path) -> None:
    own = tmp_path / "y.data.npy"
    own.write_bytes(scan.read_bytes())
    own.with_suffix(".json").write_text(scan.with_suffix(".json").read_text())
    before = own.read_bytes()
    for output in (own, tmp_path / "y.npy"):
        result = run("reconstruct", own, "--method", "fbp", "-o", output)
        assert result.exit_code == 2
        assert "would replace" in result.stderr
        assert own.read_bytes() == before
    assert run("simulate", "--image", own, "-o", own).exit_code == 2
    (tmp_path / "z.data.npy").mkdir()
    assert run("reconstruct", own, "--method", "fbp", "-o", tmp_path / "z.npy").exit_code == 2
    assert files(tmp_path) == {"y.data.npy", "y.data.json", "z.data.npy"}


def test_errors_are_one_json_object_where_json_was_asked_for(scan: Path) -> None:
    for args in (("reconstruct", scan, "--delta", "-1"), ("reconstruct", "missing.npy"), ("info", "missing.npy")):
        result = run(*args, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["status"] == "bad input"
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", [("--size", "32"), ("--views", "9"), ("--beam", "fan")])
def test_simulate_takes_the_scanner_from_one_place(scan: Path, tmp_path: Path, option: tuple[str, str]) -> None:
    file = scan.with_suffix(".json")
    assert run("simulate", "--geometry", file, "-o", tmp_path / "a.npz").exit_code == 0
    result = run("simulate", "--geometry", file, *option, "-o", tmp_path / "b.npz")
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert run("simulate", *option, "-o", tmp_path / "c.npz").exit_code == 0


@pytest.mark.parametrize("noise", ["nan%", "-1%", "much", "1%%"])
def test_percentages_are_read_in_one_way(tmp_path: Path, noise: str) -> None:
    for command in (("simulate", "-o", tmp_path / "a.npz"), ("benchmark",)):
        result = run(*command, "--noise", noise)
        assert result.exit_code == 2
        assert f"must be a percentage like 1%, got '{noise}'" in result.stderr


def test_bad_files_are_one_line_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.npy").touch()
    Path("text.npy").write_text("hello")
    np.save("words.npy", np.array([["a", "b"]]))
    np.save("nan.npy", np.full((8, 8), np.nan))
    Path("\x1b[31mred\n.npy").write_text("hello")
    before = files(tmp_path)
    for name in (*before, "missing.npy", "."):
        result = run("reconstruct", name, "-o", "u.npy")
        assert result.exit_code == 2, name
        assert "Traceback" not in result.output
        assert "\x1b" not in result.stderr
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ["info", "missing.npy"], ["reconstruct", "broken.npy"], ["report", "broken.npy", "-o", "x.html"],
        ["superres", "broken.npy"], ["sudoku", "12"], ["rebin", ".", "-o", "x.npz"],
        ["audit", "broken.npy", "--roi", "1,1,1"], ["dicom", "deidentify", "broken.npy", "out"],
        ["dicom", "get", "1.2", "--from", "A@b:x", "-o", "out"],
        ["data", "fetch", "nothing"],
    ],
)
def test_debug_shows_where_it_came_from(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    plain = run(*words)
    assert plain.exit_code == 2
    assert "Traceback" not in plain.output
    for line in (["--debug", *words], [*words, "--debug"], [words[0], "--debug", *words[1:]]):
        shown = run(*line)
        assert shown.exit_code == 2
        assert "Traceback (most recent call last)" in shown.stderr
        assert 'ctrecon/' in shown.stderr
        # The line for a person stays, and stays the last one.
        assert shown.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
        assert shown.stdout == plain.stdout


def test_debug_shows_what_a_message_replaced(tmp_path: Path) -> None:
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    shown = run("info", tmp_path / "broken.npy", "--debug")
    assert shown.stderr.count("Traceback (most recent call last)") > 1
    assert "During handling of the above exception" in shown.stderr


def test_after_two_dashes_debug_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--debug" in run("info", "--", "--debug").stderr


def test_a_read_only_folder_is_refused_before_any_work(scan: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/u.npy")
    else:
        target = tmp_path / "locked" / "u.npy"
        target.parent.mkdir(mode=0o500)
    result = run("reconstruct", scan, "--delta", "10%", "-o", target)
    assert result.exit_code == 2
    assert str(target.with_suffix("")) in result.stderr


def command(*args: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "ctrecon.cli.main", *map(str, args)]
    return subprocess.run(call, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_leaves_nothing_half_written(scan: Path, tmp_path: Path) -> None:
    def smallest_disk() -> None:
        # A limit on file size fails a write in the middle, as a full disk does.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    result = command(
        "reconstruct", scan, "--delta", "10%", "--method", "cgls", "-o", tmp_path / "u.npy", preexec_fn=smallest_disk,
    )
    assert result.returncode == 2, result.stderr
    assert "u.npy" in result.stderr.splitlines()[-1]
    assert not [name for name in files(tmp_path) if name.startswith(("u.", ".u"))]


def test_ctrl_c_writes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "noise.npy", rng.random((180, 256)))
    endless = (
        "--geometry", "parallel-180", "--delta", "1e-9", "--method", "gradient", "--iterations", "1000000",
        "-o", tmp_path / "u.npy",
    )
    call = [sys.executable, "-u", "-m", "ctrecon.cli.main", "reconstruct", tmp_path / "noise.npy", *endless]

    def listen() -> None:
        # Tests that were started in the background inherit that Ctrl-C is ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    pipe = subprocess.PIPE
    with subprocess.Popen(call, stdout=pipe, stderr=pipe, text=True, preexec_fn=listen) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("iteration"):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines() == ["ctrecon: interrupted; no result was written"]
    assert files(tmp_path) == {"noise.npy"}


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import sys; from click.testing import CliRunner; from ctrecon.cli.main import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "assert CliRunner().invoke(cli, ['reconstruct', '--help']).exit_code == 0;"
        "heavy = {'torch', 'numpy', 'scipy', 'numba', 'matplotlib', 'h5py', 'astra'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    began = time.monotonic()
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < WORST_HELP_SECONDS


def test_every_listed_command_exists_and_explains_itself() -> None:
    for name in Commands.modules:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 5
        assert name in run("--help").output


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
    assert "resuming" in run(*args, "--steps", 4, "--overwrite").output
    assert run(*args, "--steps", 3, "--fresh", "--overwrite", "--start", out).exit_code == 0
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
    from ctrecon.cli.reconstruct import command as reconstruct

    params = reconstruct.make_context("reconstruct", words.replace("FILE", "scan.npy").split()).params
    assert params["delta"] == delta
    assert str(params["scan_file"]) == "scan.npy"
