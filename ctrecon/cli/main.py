"""``ctrecon``: the group of commands. Nothing heavy is imported before a command runs, so help comes at once."""

from __future__ import annotations

import atexit
import gc
import json
import sys
import traceback
from typing import Any, ClassVar

import click

from ctrecon.cli.lazy import LazyGroup
from ctrecon.errors import CtreconError
from ctrecon.support.alone import check_alone
from ctrecon.support.text import printable
from ctrecon.support.troubles import see
from ctrecon.support.where import causes

__all__ = ["cli", "main", "printable"]

_AS_JSON, DEBUG = "ctrecon.as_json", "ctrecon.debug"

EXIT_BAD_INPUT, EXIT_DELTA_NOT_MET, EXIT_INTERRUPTED = 2, 3, 130


class Commands(LazyGroup):
    """All commands; what goes wrong in one becomes a line for a person and an exit code."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "reconstruct": ("reconstruct", "Reconstruct a certified image from a sinogram."),
        "simulate": ("simulate", "Simulate a scan of a phantom or an image."),
        "verify": ("verify", "Check certificates, independently of how they were made."),
        "audit": ("audit", "Tell whether a structure is in the data, or only in the picture."),
        "compare": ("compare", "Tell where two reconstructions differ by more than the data decide."),
        "members": ("members", "Show where images that meet delta as well differ from a certified one."),
        "report": ("report", "Write one page about a reconstruction: image, proof, how to check it."),
        "view": ("view", "Look at a folder: list, compare, play slices, open reports."),
        "correct": ("correct", "Correct a scan: rings, zingers, flicker, scatter and more."),
        "info": ("info", "Say what a scan file holds and what is assumed of it."),
        "diagnose": ("diagnose", "Say what is wrong with a scan that no image explains."),
        "calibrate": ("calibrate", "Find how each view stood, from the data themselves."),
        "train-phantoms": ("train_phantoms", "Train a network on phantoms, CT slices and natural images."),
        "train-peer": ("train_peer", "Train a method of others on the same data, to compare with."),
        "train-volumes": ("train_volumes", "Train a network that sees neighbouring slices of volumes."),
        "rebin": ("rebin", "Rebin CT projections (DICOM-CT-PD) to fan-beam scans of slices."),
        "synthesise-projections": ("synthesise_projections", "Write the projections of a phantom as DICOM-CT-PD."),
        "superres": ("superres", "Enlarge a picture so that, pooled again, it is the given one."),
        "train-superres": ("train_superres", "Train a network for super-resolution on photographs."),
        "sudoku": ("sudoku", "Solve Sudokus; a grid counts as solved by its check alone."),
        "train-sudoku": ("train_sudoku", "Train a network for Sudoku on the descent path."),
        "dicom": ("dicom", "Send, find, get, receive and de-identify DICOM objects."),
        "reproduce": ("reproduce", "Compute the figures and tables of the paper anew."),
        "benchmark": ("benchmark", "Compare the learned method with oracle-tuned classical ones."),
        "data": ("data", "List and download public data sets."),
        "safety": ("safety", "Plant lesions and see which survive which method."),
    }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Read before the subcommand takes its arguments: where JSON was asked for, errors are an object, too.
        ctx.meta[_AS_JSON] = "--json" in args
        # A person adds it to the line that failed, wherever; it belongs to no command.
        words, rest = (args[: args.index("--")], args[args.index("--") :]) if "--" in args else (args, [])
        ctx.meta[DEBUG] = "--debug" in words
        return super().parse_args(ctx, [word for word in words if word != "--debug"] + rest)

    def invoke(self, ctx: click.Context) -> Any:
        as_json: bool = ctx.meta[_AS_JSON]
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
            click.echo("ctrecon: interrupted; no result was written", err=True)
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


def main() -> None:
    """The entry point of the ``ctrecon`` command."""
    _collect_seldom()
    try:
        check_alone()
    except CtreconError as error:
        click.echo(f"ctrecon: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    cli(prog_name="ctrecon")


if __name__ == "__main__":
    main()
