"""The log of one training: a JSON object a line, and the same numbers as curves for TensorBoard where asked for.

One training, one log. One that goes on from a checkpoint goes on with its log, too, from the checkpoint's step: what it
says of later steps, which are done again, goes. A new training begins a new one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def log_path(output: Path) -> Path:
    """Where the log of the training of ``output`` goes."""
    return output.with_name(output.stem + ".log.jsonl")


def check_curves(folder: Path | None, *, overwrite: bool) -> None:
    """Before the work of a new training. Raises OutputError where the folder holds the curves of another one."""
    from ctrecon.errors import OutputError

    if folder is not None and not overwrite and _curves(folder):
        raise OutputError(
            f"{folder} holds the curves of another training; add --overwrite to replace them, or give another folder"
        )


class TrainingLog:
    """Of a training that begins, or goes on, at ``step``.

    Args:
        path: Of the log.
        curves: A folder for TensorBoard.
        step: How many steps are done; 0 for a new training.
    """

    def __init__(self, path: Path, curves: Path | None, *, step: int) -> None:
        from ctrecon.support.atomic import atomic_write

        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if path.exists() else []
        kept = "".join(line for line in lines if 0 < _step_of(line) <= step)
        with atomic_write(path) as partial:
            partial.write_text(kept, encoding="utf-8")
        self._curves = None if curves is None else _writer(curves, step)
        self._lines = path.open("a", encoding="utf-8")

    def write(self, step: int, seconds: float, facts: dict[str, float]) -> None:
        """Note what is known at a step."""
        self._lines.write(json.dumps({"step": step, "seconds": round(seconds, 1), **facts}) + "\n")
        self._lines.flush()
        if self._curves is not None:
            for name, value in facts.items():
                self._curves.add_scalar(name, value, step)
            self._curves.flush()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        if self._curves is not None:
            self._curves.close()


def _step_of(line: str) -> int:
    """0 for what is no line of a log, such as one that was cut off."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return 0
    return step if isinstance(step, int) else 0


def _curves(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*")) if folder.is_dir() else []


def _writer(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        from ctrecon.errors import SettingError

        raise SettingError(
            f"--tensorboard {folder} needs TensorBoard; pip install 'ctrecon-edn[training]'"
        ) from None
    if not step:
        for path in _curves(folder):
            path.unlink()
    # TensorBoard hides what earlier files say of this step and later ones.
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
