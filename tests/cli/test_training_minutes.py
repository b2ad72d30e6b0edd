"""Minutes given to a training are those of the whole command: what scoring takes is found by scoring once before."""

import time

import pytest

from ctrecon.cli.train_phantoms import _without_scoring
from ctrecon.errors import SettingError
from ctrecon.support.statistics import estimate
from ctrecon.training.loop import TrainingPlan


def scores():
    return {"ellipses": {"1.0%": estimate([31.0, 33.0], ["a", "b"]).to_dict()}}


@pytest.fixture
def clock(monkeypatch):
    """Scoring takes 90 seconds of it."""
    told = iter([1000.0, 1090.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(told))


def test_the_time_of_scoring_is_taken_off_and_the_scores_are_said(clock, capsys):
    assert _without_scoring(TrainingPlan(minutes=10.0), scores).minutes == 8.5
    assert capsys.readouterr().out == "before training, ellipses: 32.00 dB at 1.0%\n"


def test_minutes_that_scoring_would_eat_are_refused(clock):
    with pytest.raises(SettingError, match="scoring takes 90 s, twice, of the 2 minutes given"):
        _without_scoring(TrainingPlan(minutes=2.0), scores)
