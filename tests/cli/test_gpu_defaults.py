"""Commands on a machine with a GPU, one that works and one that does not: what was not asked for must not fail.

The GPU that works is a stand-in (``tests/stand_in_gpu.py``); ``tests/gpu`` runs on a real one.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from stand_in_gpu import OnGpu, stand_in_gpu

import ctrecon
from ctrecon.cli.main import Commands, cli

PUZZLE = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
SMALL = "--steps 1 --batch 2 --threads 1"

# In order: later ones read what earlier ones wrote. All end with exit code 0.
LINES = [
    "simulate --phantom head --size 20 --views 24 --noise 2% -o scan.npz",
    "reconstruct scan.npz --delta 4% -o u.npy",
    "reconstruct scan.npz --delta 4% --method gradient -o gradient.npy",
    "reconstruct scan.npz --delta 4% --method cgls -o cgls.npy",
    "reconstruct scan.npz --delta 4% --method huber-tv -o tv.npy",
    "reconstruct scan.npz --delta 40% --method fbp -o fbp.npy",
    "reconstruct scan.npz --delta 4% --method cgls --operator sparse -o sparse.npy",
    "reconstruct scan.npz --delta 4% --method cgls --operator joseph -o joseph.npy",
    "reconstruct scan.npz --delta 4% --method cgls --device cpu -o cpu.npy",
    "verify u.certificate.json",
    "info scan.npz",
    "correct scan.npz -o corrected.npz --zingers --rings",
    "report u.npy -o u.html",
    "audit u.npy --roi 10,10,3 --iterations 30",
    "diagnose scan.npz",
    "calibrate scan.npz --rounds 1",
    "compare u.npy cgls.npy --discs 1 --iterations 20",
    "members u.npy --count 2",
    "synthesise-projections -o raw --rows 4 --columns 32 --per-turn 32 --turns 1.1 --feed 2 --photons 1e3 --seed 3",
    "rebin raw --z 0 -o slice.npz",
    "reconstruct raw --all-slices --delta auto --method cgls --no-preview -o series/",
    "superres photo.png --prior none",
    f"sudoku {PUZZLE}",
    "data list",
]
# These ask for no GPU unless --device names one, so a GPU that does not work says all.
ON_CPU = [
    f"train-sudoku -o sudoku.safetensors {SMALL}",
    f"train-superres --images photos --patch 8 -o superres.safetensors {SMALL}",
    f"train-peer learned-primal-dual --scanner walnut --size 24 --validation 0 -o peer.safetensors {SMALL}",
    f"train-phantoms --scanner walnut --size 24 --validation 1 -o tiny.safetensors {SMALL}",
]
# Studies and volumes take minutes; that they ask for no GPU, test_one_place_asks_for_gpus shows.
STUDIES = {"benchmark", "safety", "reproduce", "train-volumes"}
# These send, receive or show files and compute nothing with torch; `dicom listen` runs "reconstruct --all-slices".
NO_TENSORS = {"dicom", "view"}


@contextmanager
def broken_gpu() -> Iterator[None]:
    """Torch lists a GPU, and every use of it fails, as with too old a driver: here, that torch is built without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        yield


Machine = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module", params=[stand_in_gpu, broken_gpu])
def machine(request: pytest.FixtureRequest) -> Machine:
    made: Machine = request.param
    return made


@pytest.fixture(scope="module")
def place(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "photos").mkdir()
    for path in (folder / "photo.png", folder / "photos" / "one.png"):
        Image.linear_gradient("L").resize((48, 48)).save(path)
    return folder


def run(line: str) -> Result:
    return CliRunner().invoke(cli, line.split(), catch_exceptions=False)


@pytest.mark.parametrize("line", LINES + ON_CPU)
def test_every_command_does_its_work(line: str, machine: Machine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU of its own")
    if line in ON_CPU and machine is stand_in_gpu:
        pytest.skip("never on a GPU unless asked")
    monkeypatch.chdir(place)
    with machine():
        result = run(line)
    assert result.exit_code == 0, result.output
    if not line.startswith("reconstruct") or "--device" in line:
        return
    said = " ".join(result.output.split())
    if machine is broken_gpu:
        expected = "joseph works on the CPU alone" if "joseph" in line else "the GPU cannot be used"
        assert expected in said
        assert "the CPU is" in said or "joseph" in line
    elif "joseph" in line:
        assert "the GPU is not used, because the operator joseph works on the CPU alone" in said
    elif "--all-slices" not in line:
        assert "the GPU is not used" not in said
        history = line.split()[-1].replace(".npy", ".history.json")
        assert json.loads(Path(history).read_text())["device"] == "cuda"


def test_every_command_is_run() -> None:
    assert {line.split()[0] for line in LINES + ON_CPU} | STUDIES | NO_TENSORS == set(Commands.names())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--device cuda", "cuda cannot be used"),
        ("--operator astra", "astra needs a CUDA GPU"),
        ("--operator astra --device cpu", "astra works on a GPU only"),
        ("--operator joseph --device cuda", "cuda cannot be used"),
    ],
)
def test_what_was_asked_for_is_refused_where_it_cannot_be(
    options: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU of its own")
    monkeypatch.chdir(tmp_path)
    with broken_gpu():
        assert run(LINES[0]).exit_code == 0
        result = run(f"reconstruct scan.npz {options} --method cgls -o {tmp_path}/u.npy")
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "u.npy").exists()


def test_the_stand_in_shows_mixed_devices() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU of its own")
    with stand_in_gpu():
        there, here = torch.ones(2, device="cuda"), torch.ones(2)
        assert isinstance(there, OnGpu)
        assert there.device.type == (there + 1).device.type == here.to(there).device.type == "cuda"
        assert there.cpu().device.type == here.device.type == "cpu"
        for mix in (lambda: there + here, lambda: torch.stack([here, there])):
            with pytest.raises(RuntimeError, match="same device"):
                mix()
        with pytest.raises(TypeError, match=r"Use Tensor\.cpu"):
            there.numpy()


def test_one_place_asks_for_gpus() -> None:
    """No other file decides by what torch or ASTRA see of a GPU."""
    package = Path(ctrecon.__file__).parent
    asks = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("is_available", "device_count", "use_cuda"):
                asks.add(path.relative_to(package).as_posix())
    assert asks == {"support/device.py", "operators/astra.py"}
