"""What only a process of its own shows: a full disk, Ctrl-C, what ``--help`` imports."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_scans import files, simulated
from click.testing import CliRunner

from ctrecon.cli.main import cli


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("scan") / "scan.npy")


WORST_HELP_SECONDS = 3.0  # a hundredth of it in practice; this only catches a heavy import


def command(*args: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "ctrecon.cli.main", *map(str, args)]
    return subprocess.run(call, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload,no-any-return]


@pytest.mark.long
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


@pytest.mark.long
def test_without_standard_output_a_command_does_its_work(scan: Path) -> None:
    result = command("info", scan, "--geometry", "parallel-180", preexec_fn=lambda: [os.close(n) for n in (0, 1)])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    said = CliRunner().invoke(cli, ["info", str(scan), "--geometry", "parallel-180"]).output
    assert "views" in said, "it would have said something"


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


HEAVY = {
    "IPython", "SimpleITK", "algotom", "astra", "cryptography", "h5py", "highdicom", "jinja2", "matplotlib", "numba",
    "numcodecs", "pandas", "plotly", "pooch", "pydicom", "requests", "rich", "scipy.fft", "scipy.integrate",
    "scipy.interpolate", "scipy.linalg", "scipy.optimize", "scipy.signal", "scipy.spatial", "scipy.stats", "skimage",
    "sklearn", "tifffile", "torch._dynamo", "torch._inductor", "torchvision", "zarr",
}  # fmt: skip


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import gc, sys; before = gc.get_threshold();"
        "from click.testing import CliRunner; from ctrecon.cli.main import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "assert CliRunner().invoke(cli, ['reconstruct', '--help']).exit_code == 0;"
        "heavy = {'torch', 'numpy', 'scipy', 'numba', 'matplotlib', 'h5py', 'astra'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "assert gc.get_threshold() == before, 'only main() may change how garbage is looked for'"
    )
    began = time.monotonic()
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - began < WORST_HELP_SECONDS


def test_a_reconstruction_imports_no_library_it_does_not_use(scan: Path, tmp_path: Path) -> None:
    # By the default method and with a picture: what a person waits for at every small scan.
    call = ["reconstruct", str(scan), "-o", str(tmp_path / "u.npy"), "--delta"]
    check = (
        "import sys, torch; before = set(sys.modules);"
        "from click.testing import CliRunner; from ctrecon.cli.main import cli;"
        f"done = CliRunner().invoke(cli, {call}); assert done.exit_code == 0, done.output;"
        f"heavy = {HEAVY} & set(sys.modules); assert not heavy, heavy;"
        "more = {one for one in set(sys.modules) - before if one.startswith('torch.')}; assert not more, more"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "u.png").exists()
