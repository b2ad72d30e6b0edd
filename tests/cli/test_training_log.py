"""One training, one log: a new one begins it, one that goes on cuts off what it does again, and nothing is mixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctrecon.cli.training import check_output, checkpoint_path, run_training
from ctrecon.cli.training_log import log_path
from ctrecon.errors import OutputError
from ctrecon.training.loop import Trainer, TrainingPlan


class Numbers:
    share = 1.0

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        return network(torch.ones(batch, 1)).square().mean()


def train(output: Path, steps: int, *, fresh: bool = False, curves: Path | None = None) -> None:
    trainer = Trainer(nn.Linear(1, 1), [Numbers()], TrainingPlan(steps=steps, batch=1))
    run_training(trainer, output, fresh=fresh, curves=curves)


def logged(output: Path) -> list[int]:
    return [json.loads(line)["step"] for line in log_path(output).read_text().splitlines()]


def test_a_log_is_of_one_training(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    train(out, 200)
    assert logged(out) == [100, 200]
    train(out, 300)
    assert logged(out) == [100, 200, 300], "the checkpoint is gone on from"
    with log_path(out).open("a") as log:  # killed after its last checkpoint, in the midst of a line
        log.write(json.dumps({"step": 400, "loss": 1.0}) + "\n" + '{"step": 50')
    train(out, 400)
    assert logged(out) == [100, 200, 300, 400]
    train(out, 100, fresh=True)
    assert logged(out) == [100]
    checkpoint_path(out).unlink()
    log_path(out).write_text("mine, and no log\n")
    train(out, 100)
    assert logged(out) == [100]


def test_what_there_is_of_another_training_is_replaced_if_asked_for(tmp_path: Path) -> None:
    out, curves = tmp_path / "a.safetensors", tmp_path / "curves"
    log_path(out).write_text("{}\n")
    with pytest.raises(OutputError, match="--overwrite"):
        check_output(out, None, fresh=False, overwrite=False)
    check_output(out, None, fresh=False, overwrite=True)
    # Beside a checkpoint it is of a training that was cut off.
    checkpoint_path(out).write_text("")
    check_output(out, None, fresh=False, overwrite=False)
    check_output(out, None, fresh=True, overwrite=False)
    curves.mkdir()
    (curves / "events.out.tfevents.1").write_text("")
    check_output(out, curves, fresh=False, overwrite=False)
    with pytest.raises(OutputError, match="holds the curves of another training"):
        check_output(out, curves, fresh=True, overwrite=False)


def test_curves_are_of_one_training(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra training is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, curves = tmp_path / "a.safetensors", tmp_path / "curves"

    def drawn() -> list[int]:
        events = EventAccumulator(str(curves))
        events.Reload()
        return [one.step for one in events.Scalars("loss")]

    train(out, 200, curves=curves)
    train(out, 300, curves=curves)
    assert drawn() == [100, 200, 300]
    train(out, 100, fresh=True, curves=curves)
    assert drawn() == [100]
