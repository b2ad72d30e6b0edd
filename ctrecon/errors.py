"""Errors that a person can act on: every message names the value and the remedy, in one line."""

from __future__ import annotations

_LONGEST, _BEGINNING, _END = 1000, 650, 300


class CtreconError(Exception):
    """Anything the library refuses to do. The command line prints it as one line and exits with code 2."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        # It may quote what it refuses: the file is named at the beginning, the remedy at the end.
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_BEGINNING]} ... {line[-_END:]}")


class GeometryError(CtreconError):
    """A geometry or a grid that cannot exist, or that does not fit the data."""


class InputError(CtreconError):
    """A file or an array that cannot be used as it is."""


class OperatorError(CtreconError):
    """An operator that cannot run here (no GPU, too little memory) or was given the wrong shape."""


class SettingError(CtreconError):
    """A parameter of a method that is out of its range."""


class WeightsError(CtreconError):
    """Network weights that are not what they say."""


class OutputError(CtreconError):
    """A result that cannot be written where it was asked for."""


class NetworkError(CtreconError):
    """Another node of the network that does not answer, refuses, or breaks off."""
