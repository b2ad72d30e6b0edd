"""Rows of a table as JSON, beside the table that a command prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ctrecon.cli.options import FilePath, overwrite_option

F = TypeVar("F", bound=Callable[..., Any])


def rows_option(function: F) -> F:
    """``-o`` and ``--overwrite`` of a command that prints a table."""
    output = click.option("-o", "--output", type=FilePath, help="Also write every row as JSON.")
    return output(overwrite_option(function))


def check_rows(path: Path | None, *, overwrite: bool) -> None:
    """Before the work. Raises SettingError for another suffix, OutputError where ``path`` is there already."""
    from ctrecon.errors import SettingError
    from ctrecon.support.places import check_places

    if path is not None and path.suffix != ".json":
        raise SettingError(f"-o {path} does not say what to make; rows are written as {path.stem}.json")
    check_places([] if path is None else [path], overwrite=overwrite)


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write ``rows`` whole or not at all. Raises OutputError where ``path`` cannot be written."""
    from ctrecon.support.atomic import atomic_write

    with atomic_write(path) as partial:
        partial.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
