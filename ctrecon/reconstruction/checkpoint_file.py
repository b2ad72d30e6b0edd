"""The state of a long job in a file: a crash or ``kill -9`` loses what was done since it was last written.

One safetensors file: the tensors of the state by number, and in the header the nest that they stand in, what the job
follows from (a hash, as of a stack's batches) and a hash of the tensors' bytes. It is whole or not there, and one of
another scan, of other settings, or whose bytes have changed is never gone on from. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ctrecon.errors import OutputError
from ctrecon.reconstruction.pieces import beside
from ctrecon.support.atomic import atomic_write, output_error
from ctrecon.support.checkpoint import State

FORMAT = "ctrecon-checkpoint/1"
NAME = "checkpoint.safetensors"
SECONDS = 60.0
"""Not sooner after the start, or after the last, is a state written."""
_SHARE = 20.0
"""Nor before so many times as long as writing took: it costs a twentieth of the time at most."""
_TENSOR = "tensor"


class CheckpointFile:
    """Keeps the state of a job at ``path``; see ``Checkpoint``.

    Args:
        path: ``.safetensors``; its folder is made with the first state, where it is not there.
        key: The hash of all that the job follows from, asked when it is first needed.
        say: Hears in one sentence where the job goes on, begins anew, or what could not be written.
        seconds: Between two states, at least.
    """

    def __init__(
        self, path: Path, key: Callable[[], str], *, say: Callable[[str], None] = lambda text: None,
        seconds: float | None = None,
    ) -> None:
        self.path, self._say = path, say
        self._make_key, self._key = key, ""
        self._wait = SECONDS if seconds is None else seconds
        self._due = time.monotonic() + self._wait
        self._earlier: State | None = None
        self._read = False

    def recall(self, device: torch.device) -> State | None:
        """See ``Checkpoint``."""
        if not self._read:
            self._read = True
            self._earlier = self._found(device)
        return self._earlier

    def offer(self, state: Callable[[], State]) -> None:
        """See ``Checkpoint``. A place that cannot be written is said once, and the job goes on without."""
        if time.monotonic() < self._due:
            return
        began = time.monotonic()
        # What was gone on from has been used.
        self._read, self._earlier = True, None
        try:
            self._write(state())
        except OutputError as why:
            self._say(f"the job goes on, but what is done of it is not kept: {why}")
            self._due = float("inf")
            return
        now = time.monotonic()
        self._due = now + max(self._wait, _SHARE * (now - began))

    def _of(self) -> str:
        self._key = self._key or self._make_key()
        return self._key

    def _write(self, state: State) -> None:
        tensors: list[Tensor] = []
        nest = _laid_out(state, tensors, {})
        header = {"format": FORMAT, "key": self._of(), "sha256": _hash(tensors), "state": nest}
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as why:
            raise output_error(self.path, why) from None
        with atomic_write(self.path) as place:
            try:
                save_file(
                    {str(k): one for k, one in enumerate(tensors)}, place, metadata={"ctrecon": json.dumps(header)}
                )
            except SafetensorError as why:
                raise OutputError(f"{self.path}: cannot be written: {why}") from None

    def _found(self, device: torch.device) -> State | None:
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("ctrecon", "null"))
                if header["format"] != FORMAT or header["key"] != self._of():
                    self._say(f"{self.path.name} is of another scan or other settings, so the job begins anew")
                    return None
                tensors = [file.get_tensor(str(k)) for k in range(len(file.keys()))]
            if header["sha256"] != _hash(tensors):
                raise ValueError("its bytes have changed")
            found = _taken_up(header["state"], [one.to(device) for one in tensors])
        except (SafetensorError, OSError, ValueError, TypeError, KeyError, IndexError) as why:
            said = (str(why).splitlines() or [type(why).__name__])[0][:120]
            self._say(f"{self.path.name} cannot be gone on from ({said}), so the job begins anew")
            return None
        self._say("goes on from where an earlier run was cut off")
        return found


def checkpoint_of(output: Path) -> Path:
    """Where the checkpoint of a job stands that will become ``output``: in the hidden folder of its pieces."""
    return beside(output.resolve()) / NAME


def remove_checkpoint(path: Path) -> None:
    """Once the output is written: the file goes, and its folder where that is hidden and holds nothing else."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
        if path.parent.name.startswith("."):
            path.parent.rmdir()


def _laid_out(state: State, tensors: list[Tensor], known: dict[int, int]) -> Any:
    """The nest with a number for each tensor; one that stands in it twice is kept once, and is one again."""
    if isinstance(state, Tensor):
        if id(state) not in known:
            known[id(state)] = len(tensors)
            # Of its own memory, for two that share some cannot be written.
            tensors.append(state.detach().cpu().clone(memory_format=torch.contiguous_format))
        return {_TENSOR: known[id(state)]}
    if isinstance(state, dict):
        return {str(name): _laid_out(value, tensors, known) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [_laid_out(value, tensors, known) for value in state]
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(f"a state holds no {type(state).__name__}")


def _taken_up(nest: Any, tensors: list[Tensor]) -> State:
    if isinstance(nest, dict):
        if set(nest) == {_TENSOR}:
            return tensors[nest[_TENSOR]]
        return {name: _taken_up(value, tensors) for name, value in nest.items()}
    return [_taken_up(value, tensors) for value in nest] if isinstance(nest, list) else nest


def _hash(tensors: list[Tensor]) -> str:
    found = hashlib.sha256()
    for one in tensors:
        found.update(f"{one.dtype}{list(one.shape)}".encode())
        found.update(one.numpy().data)
    return found.hexdigest()
