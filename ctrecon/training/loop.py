"""The training loop: Adam on the loss of pools of problems, averaged weights, checkpoints that resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ctrecon.errors import SettingError, WeightsError
from ctrecon.support.atomic import atomic_write
from ctrecon.support.progress import Progress
from ctrecon.training.processes import ALONE, InHalfPrecision, Processes

# On a GPU the loss is looked at in the first steps and then every so often: every look waits for the GPU.
_EARLY, _LOOK_EVERY = 10, 50


class Pool(Protocol):
    """Unfinished problems of one kind. ``share`` is how often the training draws from it, relative to other pools."""

    @property
    def share(self) -> float: ...

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """What to minimise for some of the pool's problems.

        Args:
            network: The one that is trained.
            batch: How many problems.
            rng: All that is random comes from it.

        Returns:
            A scalar.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long and how fast. The learning rate rises over the first 2% and falls to zero at the end.

    It falls as a cosine, or, with the ``stable`` schedule, stays where it is until the last 30% and then falls linearly
    (A. Haegele et al., "Scaling laws and compute-optimal training beyond fixed training durations", NeurIPS 2024).
    The end is ``steps`` steps, or ``minutes`` of time where given (then a run is not repeatable to the bit,
    because the machine's speed decides where on the cosine a step falls). ``batch`` is that of each process.
    """

    steps: int = 20_000
    minutes: float | None = None
    batch: int = 4
    learning_rate: float = 1e-3
    average: float = 0.999
    clip: float = 1.0
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    schedule: Literal["cosine", "stable"] = "cosine"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise SettingError(f"steps and batch must be >= 1, got {self.steps} and {self.batch}")
        for name in ("minutes", "learning_rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise SettingError(f"{name} must be finite and > 0, got {value}")

    def rate(self, progress: float) -> float:
        """The learning rate at some moment of the training.

        Args:
            progress: The share of it that is done, 0 to 1.

        Returns:
            The rate of the schedule.
        """
        warm = min(1.0, progress / 0.02 + 1e-3)
        left = max(0.0, 1 - progress)
        if self.schedule == "stable":
            return self.learning_rate * warm * min(1.0, left / 0.3)
        return self.learning_rate * warm * 0.5 * (1 - math.cos(math.pi * left))


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands. ``loss``, in the unit of the pools, is averaged over about 100 steps."""

    step: int
    seconds: float
    fraction: float
    loss: float

    def told(self, item: str = "") -> Progress:
        """The same as every long job tells it.

        Args:
            item: Which network, of several.

        Returns:
            With loss, minutes spent and percent done among its values: a training ends by steps or by minutes.
        """
        values = {"loss": self.loss, "minutes": self.seconds / 60, "percent": 100 * self.fraction}
        return Progress(stage="training", unit="step", done=self.step, values=values, item=item)


class Trainer:
    """Trains ``network`` in place; ``averaged`` is the copy to use. Iterate over ``run`` to go on.

    With several ``together`` each process draws its own problems, and all take the step of their mean gradient.
    """

    def __init__(
        self, network: nn.Module, pools: Sequence[Pool], plan: TrainingPlan, together: Processes = ALONE
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.plan, self.together = plan, together
        together.share_weights(network)
        self._asked = network if plan.precision == "float32" else InHalfPrecision(network)
        self.device = next(network.parameters()).device
        self.averaged = {name: value.detach().clone() for name, value in network.state_dict().items()}
        self._tracked = [(self.averaged[name], value) for name, value in network.state_dict().items()]
        self._rng = self._generator(0)
        self._pools = tuple(pools)
        shares = np.array([pool.share for pool in self._pools])
        self._shares = shares / shares.sum()
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
        self.step, self.seconds, self._loss = 0, 0.0, math.nan
        self._mean_loss = torch.full((), math.nan, device=self.device)

    def _generator(self, step: int) -> np.random.Generator:
        """What is random in this process from ``step`` on, unlike that of any other process."""
        seed = self.plan.seed if self.together.leads else [self.plan.seed, self.together.rank, step]
        return np.random.default_rng(seed)

    @property
    def final_loss(self) -> float:
        """The loss as averaged over about the last hundred steps."""
        return self._loss

    @property
    def fraction(self) -> float:
        done = self.step / self.plan.steps
        if self.plan.minutes is not None:
            done = self.seconds / (60 * self.plan.minutes)
        return min(1.0, done)

    def run(
        self, checkpoint: Callable[[], None] | None = None, every_seconds: float = 60
    ) -> Iterator[TrainingProgress]:
        """Train, one step per item, until the plan is fulfilled.

        Args:
            checkpoint: Is called now and then, and at the end.
            every_seconds: How often.

        Yields:
            Where the training stands after each step.
        """
        saved = last = time.monotonic()
        while self.fraction < 1:
            self._one_step()
            self.step += 1
            now = time.monotonic()
            # What the caller does between steps counts too. All processes must come to the end at the same step.
            self.seconds += self.together.mean(now - last, self.device)
            last = now
            if self.device.type == "cpu" or self.step <= _EARLY or self.step % _LOOK_EVERY == 0:
                self._loss = float(self._mean_loss)
            yield TrainingProgress(self.step, self.seconds, self.fraction, self._loss)
            if checkpoint is not None and (time.monotonic() - saved > every_seconds or self.fraction >= 1):
                checkpoint()
                saved = time.monotonic()

    def _one_step(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate(self.fraction)
        pool = self._pools[int(self._rng.choice(len(self._pools), p=self._shares))]
        loss = pool.loss(self._asked, self.plan.batch, self._rng)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.together.average_gradients(self.network.parameters())
        self._clip()
        self._optimizer.step()
        # Early on the average forgets fast, or the untrained start would linger in it.
        keep = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averaged, current = zip(*self._tracked, strict=True)
            get_ema_multi_avg_fn(keep)(list(averaged), list(current), 0)  # type: ignore[no-untyped-call]
            value = loss.detach()
            mean = torch.where(torch.isfinite(self._mean_loss), 0.99 * self._mean_loss + 0.01 * value, value)
            self._mean_loss = torch.where(torch.isfinite(value), mean, self._mean_loss)

    def _clip(self) -> None:
        """Shorten the gradient to ``clip``; one that overflowed teaches nothing and becomes zero.

        Decided on the device: asking for the norm would make the processor wait for a GPU in every step.
        """
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        good = torch.isfinite(norm)
        factor = torch.where(good, (self.plan.clip / (norm + 1e-6)).clamp_max(1.0), 0.0)
        for gradient in gradients:
            gradient.nan_to_num_(0.0, 0.0, 0.0).mul_(factor)

    def save(self, path: Path) -> None:
        """Everything needed to go on: weights, average, Adam's moments, generator; ``resume`` takes it up.

        Args:
            path: A safetensors file; it appears whole or not at all.
        """
        tensors: dict[str, Tensor] = {}
        for name, value in self.network.state_dict().items():
            tensors[f"network.{name}"] = value.contiguous()
            tensors[f"averaged.{name}"] = self.averaged[name].contiguous()
        for (name, parameter) in self.network.named_parameters():
            moments = self._optimizer.state.get(parameter, {})
            for key in ("exp_avg", "exp_avg_sq", "step"):
                if key in moments:
                    tensors[f"{key}.{name}"] = moments[key].contiguous()
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "loss": self._loss,
            "plan": asdict(self.plan),
            "generator": self._rng.bit_generator.state,
        }
        with atomic_write(path) as partial:
            save_file(tensors, partial, metadata={"ctrecon-training": json.dumps(state)})

    def resume(self, path: Path) -> None:
        """Go on from ``save`` by the new plan.

        The pools start anew: their states are problems, not knowledge.

        Args:
            path: Of the checkpoint.

        Raises:
            WeightsError: For a file that is damaged or of another network.
        """
        try:
            file = safe_open(path, framework="pt")
        except (SafetensorError, OSError) as why:
            raise WeightsError(f"{path.name} cannot be read ({why}); remove it to start anew") from None
        with file:
            metadata: dict[str, str] = file.metadata() or {}
            if "ctrecon-training" not in metadata:
                raise WeightsError(f"{path.name} is no training checkpoint; give the file that train wrote")
            state: dict[str, Any] = json.loads(metadata["ctrecon-training"])
            stored = {key: file.get_tensor(key) for key in file.keys()}
        weights = {k.removeprefix("network."): v for k, v in stored.items() if k.startswith("network.")}
        own = self.network.state_dict()
        if weights.keys() != own.keys() or any(weights[k].shape != own[k].shape for k in own):
            raise WeightsError(f"{path.name} is a checkpoint of another network; remove it to start anew")
        self.network.load_state_dict(weights)
        averaged = {k.removeprefix("averaged."): v for k, v in stored.items() if k.startswith("averaged.")}
        for name, value in averaged.items():
            self.averaged[name].copy_(value)
        for name, parameter in self.network.named_parameters():
            if f"exp_avg.{name}" in stored:
                # Adam counts its steps on the CPU wherever the moments are.
                self._optimizer.state[parameter] = {
                    "step": stored[f"step.{name}"].clone(),
                    **{key: stored[f"{key}.{name}"].to(self.device, copy=True) for key in ("exp_avg", "exp_avg_sq")},
                }
        self.step, self.seconds, self._loss = state["step"], state["seconds"], state["loss"]
        self._mean_loss.fill_(self._loss)
        self._rng = self._generator(self.step)
        if self.together.leads:
            self._rng.bit_generator.state = state["generator"]
