"""Bars and lines on the terminal from the library's ``Progress``, alike for every command."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.support.progress import Progress, Report

# Stages of which, where there is no terminal, every so many lines are enough.
_EVERY = {"proof": 20, "benchmark": 1, "safety": 1, "map": 1, "training": 100, "sudoku": 1, "coverage": 1,
          "download": 1 << 62, "headers": 1 << 62}
# Stages of a slice, of which there may be a thousand: each slice gets its line once it is done.
_OF_SLICES = ("note", "delta", "descent", "proof")


@contextlib.contextmanager
def shown(*, quiet: bool = False, err: bool = False) -> Iterator[Report | None]:
    """What to give as ``progress``: one line that changes on a terminal, elsewhere a line where one is worth it.

    Sentences (notes, delta) stay. Of one of many slices, only a terminal shows more than its end. ``err``: on standard
    error, where standard output is a table.
    """
    if quiet:
        yield None
        return
    if not (sys.stderr if err else sys.stdout).isatty():
        yield partial(_line, err=err)
        return
    from rich.console import Console  # 25 ms, for a terminal alone

    console = Console(highlight=False, stderr=err)
    with console.status("") as status:

        def show(now: Progress) -> None:
            if now.said and not now.item:
                console.print(printable(str(now)), markup=False, highlight=False, soft_wrap=True)
            elif not now.said:
                status.update(printable(str(now)).replace("[", r"\["))

        yield show


def _line(now: Progress, *, err: bool) -> None:
    one_of_many = now.item and now.stage in _OF_SLICES
    if not one_of_many and (now.said or _worth_a_line(now)):
        click.echo(printable(str(now)), err=err)


def _worth_a_line(now: Progress) -> bool:
    every = _EVERY.get(now.stage)
    if every is not None:
        return now.done % every == 0
    return now.done <= 20 or now.done % 10 ** (len(str(now.done)) - 1) == 0
