"""``ctrecon``: the group of commands. Nothing heavy is imported before a command runs, so help comes at once."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import click

from ctrecon.cli.ended import end_in_good_order
from ctrecon.cli.lazy import LazyGroup
from ctrecon.errors import CtreconError
from ctrecon.support.atomic import written
from ctrecon.support.text import printable
from ctrecon.support.troubles import see
from ctrecon.support.where import causes

__all__ = ["cli", "main", "printable"]

_AS_JSON, DEBUG = "ctrecon.as_json", "ctrecon.debug"

EXIT_BAD_INPUT, EXIT_DELTA_NOT_MET, EXIT_INTERRUPTED = 2, 3, 130


class Commands(LazyGroup):
    """All commands; what goes wrong in one becomes a line for a person and an exit code."""

    folder: ClassVar[str] = "ctrecon.cli.commands"
    first: ClassVar[tuple[str, ...]] = (
        "reconstruct", "simulate", "verify", "audit", "compare", "members", "report", "view", "correct", "info",
        "diagnose", "calibrate", "train-phantoms", "train-peer", "train-volumes", "rebin", "synthesise-projections",
        "superres", "train-superres", "sudoku", "train-sudoku", "dicom", "reproduce", "benchmark", "data", "safety",
    )  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Read before the subcommand takes its arguments: where JSON was asked for, errors are an object, too.
        ctx.meta[_AS_JSON] = "--json" in args
        # A person adds it to the line that failed, wherever; it belongs to no command.
        words, rest = (args[: args.index("--")], args[args.index("--") :]) if "--" in args else (args, [])
        ctx.meta[DEBUG] = "--debug" in words
        return super().parse_args(ctx, [word for word in words if word != "--debug"] + rest)

    def invoke(self, ctx: click.Context) -> Any:
        as_json: bool = ctx.meta[_AS_JSON]
        before, _ = written()
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            _refuse(ctx, f"{error.format_message()} (see ctrecon {ctx.invoked_subcommand or ''} --help)", as_json)
        except CtreconError as error:
            show_cause(ctx, error)
            _refuse(ctx, str(error), as_json)
        except BrokenPipeError:
            raise
        except OSError as error:
            show_cause(ctx, error)
            _refuse(ctx, f"{error}; check the disk's space and permissions", as_json)
        except MemoryError as error:
            show_cause(ctx, error)
            fewer = "use fewer views (--every) or pixels (--size)"
            click.echo(f"ctrecon: there is not enough memory; {fewer}; {see('slow')}", err=True)
            ctx.exit(EXIT_BAD_INPUT)
        except (KeyboardInterrupt, click.Abort) as error:
            show_cause(ctx, error)
            count, last = written()
            kept = "no result was written" if count == before else f"what was written is whole, {last.name} last"
            click.echo(f"ctrecon: interrupted; {printable(kept)}", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def show_cause(ctx: click.Context, error: BaseException) -> None:
    """With ``--debug`` the traceback, before the line for a person; causes that a message replaced are shown, too."""
    if not ctx.meta.get(DEBUG):
        return
    for one in causes(error):
        one.__suppress_context__ = False
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def _refuse(ctx: click.Context, message: str, as_json: bool) -> None:
    """One line for a person, with ``--json`` also one object for a machine, and exit code 2."""
    line = printable(" ".join(message.split()))
    click.echo(f"ctrecon: {line}", err=True)
    if as_json:
        with suppress(OSError):  # standard output may be what is full
            click.echo(json.dumps({"status": "bad input", "error": line}))
    ctx.exit(EXIT_BAD_INPUT)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where an error came from; may stand anywhere in the line.")
@click.version_option(package_name="ctrecon-edn")
def cli(debug: bool) -> None:  # read in parse_args
    """Certified learned CT reconstruction: networks that cannot disregard the measurement."""


def _collect_seldom() -> None:
    """Look for garbage among what is old ten times more seldom, and not at all when all of it goes.

    Importing torch makes half a million objects that stay. Looking through them again and again took a tenth of a small
    job's time; what is young is looked through as often as ever. In the command's own process alone: a library leaves
    that of its user as it is.
    """
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, 10 * old)
    atexit.register(gc.freeze)


def _open_what_is_closed() -> None:
    """Without standard input, output or errors (``>&-``) they lead nowhere.

    Otherwise a file that is written would take the free number, and what a library prints would go into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))


def main() -> None:
    """The ``ctrecon`` command, once ``ctrecon_edn.py`` has seen that ours is the only package of its name."""
    _open_what_is_closed()
    _collect_seldom()
    end_in_good_order()
    cli(prog_name="ctrecon")


if __name__ == "__main__":
    main()
