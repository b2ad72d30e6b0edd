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

    Raises InputError for an ``output`` that holds other things.
    """
    from ctrecon.errors import InputError

    rows: list[dict[str, Any]] = []
    if output.exists():
        try:
            rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
            done = {row["key"] for row in rows}
        except (ValueError, KeyError, TypeError) as why:
            raise InputError(f"{output} holds no results of this study ({why}); give another -o FILE") from None
    else:
        done = set()
    new = [case for key, case in cases.items() if key not in done][:most]
    with output.open("a", encoding="utf-8") as stream:
        for case in new:
            rows.append(run(case))
            stream.write(json.dumps(rows[-1], allow_nan=False) + "\n")
            stream.flush()
    return rows
