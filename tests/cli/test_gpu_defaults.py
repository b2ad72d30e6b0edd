"""Commands on a machine with a GPU, one that works and one that does not: what was not asked for must not fail.

The GPU that works is a stand-in (``tests/stand_in_gpu.py``); ``tests/gpu`` runs on a real one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from command_lines import DEAR, LINES, NO_TENSORS, ON_CPU, STUDIES
from PIL import Image
from stand_in_gpu import OnGpu, stand_in_gpu

import ctrecon
from ctrecon.cli.main import Commands, cli


@contextmanager
def broken_gpu() -> Iterator[None]:
    """Torch lists a GPU, and every use of it fails, as with too old a driver: here, that torch is built without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        yield


PYTHONS_WORDS = re.compile(r"\b(None|True|False|nan|inf|np\.\w+\()\b|\[\]|array\(|<\w+ object")

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


@pytest.mark.parametrize(
    "line", [*LINES, *(pytest.param(line, marks=pytest.mark.long if line in DEAR else ()) for line in ON_CPU)]
)
def test_every_command_does_its_work(line: str, machine: Machine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU of its own")
    if line in ON_CPU and machine is stand_in_gpu:
        pytest.skip("never on a GPU unless asked")
    monkeypatch.chdir(place)
    with machine():
        result = run(line)
    assert result.exit_code == 0, result.output
    assert not PYTHONS_WORDS.search(result.output), "in the words of a person"
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
    called = {line.split()[0] for line in LINES + ON_CPU} | STUDIES | NO_TENSORS
    new, gone = set(Commands.names()) - called, called - set(Commands.names())
    assert not new, f"write in tests/command_lines.py how these are called: {new}"
    assert not gone, f"no longer there, but in tests/command_lines.py: {gone}"


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
    asks, asking = set(), ("is_available", "device_count", "use_cuda")
    for path in package.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if any(word in text for word in asking) else ():
            if isinstance(node, ast.Attribute) and node.attr in asking:
                asks.add(path.relative_to(package).as_posix())
    assert asks == {"support/device.py", "operators/astra.py"}
