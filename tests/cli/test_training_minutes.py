"""``--minutes`` of a training is the time of the whole command, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from ctrecon.cli import training, training_supply, training_time
from ctrecon.cli.commands import train_phantoms, train_sudoku
from ctrecon.cli.main import cli
from ctrecon.cli.training_time import Validation, less_scoring
from ctrecon.errors import SettingError
from ctrecon.support.statistics import estimate
from ctrecon.training import loop
from ctrecon.training.card import NOISE_LEVELS
from ctrecon.training.loop import Trainer, TrainingPlan
from ctrecon.training.processes import Processes

PREPARING, STEP, SCORING = 40.0, 7.0, 70.0


def scores(*levels: float) -> dict[str, dict[str, object]]:
    said = estimate([31.0, 33.0], ["a", "b"]).to_dict()
    return {"ellipses": {f"{level:.1%}": said for level in levels or (0.01,)}}


class Clock:
    """Stands still but where a part of the work says that it takes a while."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.scored: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def takes(self, seconds: float, result: object = None) -> Callable[..., object]:
        def work(*_: object, **__: object) -> object:
            self.now += seconds
            if seconds == SCORING:
                self.scored.append(self.now)
            return result

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    told = SimpleNamespace(monotonic=made.monotonic, strftime=lambda *_: "2026-01-01", gmtime=lambda: None)
    for module in (loop, training, training_time, training_supply, train_sudoku):
        monkeypatch.setattr(module, "time", told)
    step = made.takes(STEP)
    monkeypatch.setattr(Trainer, "_one_step", lambda self: (step(), self._mean_loss.fill_(1.0)))
    monkeypatch.setattr(training_supply, "training_data", made.takes(PREPARING, (None, [])))
    monkeypatch.setattr(train_phantoms, "_scores", made.takes(SCORING, scores(*NOISE_LEVELS)))
    monkeypatch.setattr("ctrecon.training.whole.Supply", lambda *_, **__: SimpleNamespace(
        pool=SimpleNamespace(share=1.0, loss=None), close=lambda: None
    ))  # fmt: skip
    monkeypatch.setattr(train_sudoku, "_training_split", made.takes(PREPARING / 2))
    monkeypatch.setattr(train_sudoku, "_scores", made.takes(SCORING, {}))
    return made


def spent(clock: Clock, folder: Path, *words: str) -> float:
    """Seconds that a training of 20 minutes takes."""
    began = clock.now
    line = [*words, "-o", str(folder / "a.safetensors"), "--minutes", "20", "--batch", "2"]
    result = CliRunner().invoke(cli, line, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return clock.now - began


# Due after 18 of 20 minutes, scores that take 70 s leave no time for those of the end, which take as long again.
CASES = {
    "phantoms": ["train-phantoms"],
    "validated": ["train-phantoms", "--validate-minutes", "2"],
    "validated late": ["train-phantoms", "--validate-minutes", "18"],
    "not scored": ["train-phantoms", "--validation", "0"],
    "sudoku": ["train-sudoku"],
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", CASES)
def test_the_whole_command_takes_the_minutes_given_but_for_a_step(clock: Clock, tmp_path: Path, case: str) -> None:
    taken = spent(clock, tmp_path, *CASES[case])
    assert 1200 - STEP <= taken <= 1200 + STEP
    scored = {"phantoms": 2, "not scored": 0, "sudoku": 2, "validated late": 2}
    assert len(clock.scored) == scored[case] if case in scored else len(clock.scored) > 5


def test_a_validation_that_does_not_fit_would_overrun(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "fits", lambda *_: True)
    assert spent(clock, tmp_path, *CASES["validated late"]) > 1200 + STEP


def test_a_run_that_was_stopped_and_goes_on_keeps_its_time(clock: Clock, tmp_path: Path) -> None:
    network = torch.nn.Linear(2, 2)
    trainer = Trainer(network, [SimpleNamespace(share=1.0, loss=None)], TrainingPlan(minutes=1.0))  # type: ignore[list-item]
    for at in trainer.run():
        if at.step == 4:
            break
    trainer.save(tmp_path / "half.safetensors")
    again = Trainer(network, [SimpleNamespace(share=1.0, loss=None)], TrainingPlan(minutes=1.0))  # type: ignore[list-item]
    again.resume(tmp_path / "half.safetensors")
    assert again.seconds == 4 * STEP
    list(again.run())
    assert 60 <= again.seconds < 60 + STEP


def test_minutes_that_scoring_would_eat_are_refused(clock: Clock) -> None:
    work = clock.takes(90.0, scores())
    plan, seconds, found = less_scoring(TrainingPlan(minutes=10.0), work)
    assert (plan.minutes, seconds, found) == (8.5, 90.0, scores())
    with pytest.raises(SettingError, match="scoring takes 90 s, twice, of the 2 minutes given"):
        less_scoring(TrainingPlan(minutes=2.0), work)
    now = clock.now
    assert less_scoring(TrainingPlan(steps=9), work) == (TrainingPlan(steps=9), 0.0, None)
    assert clock.now == now, "without minutes nothing is scored before"


def test_all_processes_get_the_plan_of_the_first(clock: Clock) -> None:
    """They end at the same step, so none may wait for one that has stopped."""

    class Two(Processes):
        def mean(self, value: float, device: torch.device) -> float:
            return 90.0 / 2

    for rank in (0, 1):
        work = clock.takes(90.0, scores())
        plan, _, found = less_scoring(
            TrainingPlan(minutes=10.0), work, together=Two(rank, 2), device=torch.device("cpu")
        )
        assert plan.minutes == 8.5
        assert (found is not None) == (rank == 0)


def test_the_scores_before_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    training_supply._say(scores())
    assert capsys.readouterr().out == "before training, ellipses: 32.00 dB at 1.0%\n"
