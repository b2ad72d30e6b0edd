"""Studies that go on where they stopped: one JSON line a case, the finished ones are not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

Case = TypeVar("Case")


def part_of(cases: Sequence[Case], part: str) -> Sequence[Case]:
    """Every N-th of ``cases`` from the K-th, for ``part`` "K/N". Raises SettingError."""
    from ctrecon.errors import SettingError

    try:
        k, n = (int(number) for number in part.split("/"))
    except ValueError:
        raise SettingError(f"--part is K/N, like 1/4, got {part!r}") from None
    if not 1 <= k <= n:
        raise SettingError(f"--part K/N needs 1 <= K <= N, got {part}")
    return cases[k - 1 :: n]


def resumed(
    output: Path, cases: Mapping[str, Case], run: Callable[[Case], dict[str, Any]], most: int | None = None
) -> list[dict[str, Any]]:
    """Run those of ``cases`` that ``output`` does not hold by their key, each written as it is done; all rows.

    A last line that was cut off is done again. Raises InputError for an ``output`` that holds other things, OutputError
    where the disk is full.
    """
    from ctrecon.support.atomic import atomic_write, check_writable

    check_writable(output)
    raw = output.read_bytes() if output.exists() else b""
    rows, whole = _held(output, raw)
    if not raw or raw != whole:
        with atomic_write(output) as partial:
            partial.write_bytes(whole)
    done = {row["key"] for row in rows}
    for case in [case for key, case in cases.items() if key not in done][:most]:
        rows.append(run(case))
        _append(output, _line(rows[-1]))
    return rows


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps(row, allow_nan=False) + "\n").encode()


def _held(output: Path, raw: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """The rows of a study, but for a last line that was cut off, and what a file of them holds. Raises InputError."""
    from ctrecon.errors import InputError
    from ctrecon.support.json_text import parse_json

    *lines, last = raw.split(b"\n")
    try:
        rows = [parse_json(line) for line in lines]
        try:
            rows += [parse_json(last)] if last else []
        except ValueError:
            if not (rows and last.startswith(b"{")):
                raise
        if not all(isinstance(row["key"], str) for row in rows):
            raise ValueError("its keys are no text")
        return rows, b"".join(map(_line, rows))
    except (ValueError, KeyError, TypeError) as why:
        raise InputError(f"{output} holds no results of this study ({why}); give another -o FILE") from None


def _append(output: Path, line: bytes) -> None:
    """All of a line, or nothing of it. Raises OutputError."""
    from ctrecon.support.atomic import output_error

    try:
        with output.open("ab", buffering=0) as stream:
            end = stream.tell()
            try:
                while line:
                    line = line[stream.write(line) :]
            except OSError:
                stream.truncate(end)
                raise
    except OSError as why:
        raise output_error(output, why) from why
