"""Training in several processes: two of them take the step that one takes with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ctrecon.errors import SettingError
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.processes import ALONE, InHalfPrecision, Processes, join, local_device

# Each process takes the rows that its rank says, of a batch that is the same in all of them.
SCRIPT = '''
import sys
import torch
from safetensors.torch import save_file
from torch import nn
from test_processes import Rows
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.processes import join, leave

together = join(torch.device("cpu"))
torch.manual_seed(together.rank)  # weights differ until they are shared
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
trainer = Trainer(network, [Rows(together.rank, together.count)], TrainingPlan(steps=5, batch=4), together)
for at in trainer.run():
    pass
save_file({k: v.contiguous() for k, v in network.state_dict().items()}, sys.argv[1] + str(together.rank))
print(f"{at.seconds!r}\\n", end="", flush=True)
leave()
'''

# What ``torchrun`` does for two of them on one machine, but what they import is imported once.
FORK = """
import os, runpy, socket, sys
import safetensors.torch
import test_processes

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
children = []
for rank in ("0", "1"):
    child = os.fork()
    if not child:
        os.environ.update(RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit()
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
HAS_FORK = hasattr(os, "fork")


class Rows:
    """Mean square error on ``batch`` of the rows that belong to a process."""

    share = 1.0

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count, self._calls = rank, count, 0

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        self._calls += 1
        noise = np.random.default_rng(self._calls).standard_normal((8, 1, 9, 9), dtype=np.float32)
        mine = torch.from_numpy(noise)[self.rank * batch : (self.rank + 1) * batch]
        assert batch * self.count == 8
        return (network(mine) - mine[..., 2:-2, 2:-2]).square().mean()


def alone() -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 3))
    for _ in Trainer(network, [Rows(0, 1)], TrainingPlan(steps=5, batch=8)).run():
        pass
    return network.state_dict()


@pytest.mark.long
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(["-c", FORK], id="fork", marks=pytest.mark.skipif(not HAS_FORK, reason="Windows cannot fork")),
        pytest.param(TORCHRUN, id="torchrun", marks=[pytest.mark.long] if HAS_FORK else []),
    ],
)
def test_two_processes_take_the_steps_of_one_with_twice_the_batch(start: list[str], tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    here = Path(__file__).resolve().parent
    command = [sys.executable, *start, str(script)]
    environment = {
        "PYTHONPATH": f"{here}:{here.parents[1]}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1",
        # One that is aborted says in which thread and where.
        "PYTHONFAULTHANDLER": "1", "TORCH_SHOW_CPP_STACKTRACES": "1",
    }  # fmt: skip
    result = subprocess.run(
        [*command, str(tmp_path / "weights")], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    # Whole: what a process that was aborted says of it stands before torchrun's own words.
    assert result.returncode == 0, result.stderr
    first, second = (load_file(tmp_path / f"weights{rank}") for rank in (0, 1))
    expected = alone()
    for name, value in expected.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, rtol=1e-5, atol=1e-7)
    seconds = result.stdout.split()
    assert len(seconds) == 2
    assert seconds[0] == seconds[1], "the processes must agree when the time is over"
    torch.manual_seed(0)
    untrained = nn.Conv2d(1, 4, 3).state_dict()["weight"]
    assert not torch.allclose(first["0.weight"], untrained, atol=1e-4), "a law that also holds without training"


def test_alone_nothing_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join(torch.device("cpu")) is ALONE
    assert ALONE.leads
    assert ALONE.mean(0.5, torch.device("cpu")) == 0.5
    assert not Processes(1, 2).leads
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(SettingError, match="torchrun"):
        join(torch.device("cpu"))


def test_devices_that_do_not_exist() -> None:
    assert local_device("cpu") == torch.device("cpu")
    with pytest.raises(SettingError, match="no device 'gpu7'"):
        local_device("gpu7")
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="no GPU"):
            local_device("cuda")


def test_half_precision_changes_the_arithmetic_and_not_the_types() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(1, 8, 3)
    x = torch.rand(2, 1, 16, 16)
    half = InHalfPrecision(network)(x)
    assert half.dtype == torch.float32
    exact = network(x).detach()
    error = float((half.detach() - exact).norm() / exact.norm())
    assert 1e-4 < error < 2e-2
    half.sum().backward()
    assert network.weight.grad is not None
    assert network.weight.grad.dtype == torch.float32
