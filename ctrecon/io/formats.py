"""Formats of scanners and collections that are more than named arrays: each a file, registered by one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctrecon.io.ask import Ask
from ctrecon.io.edf import is_edf, read_edf
from ctrecon.io.linac import is_linac, read_linac
from ctrecon.io.measured import Measured
from ctrecon.io.nikon import is_nikon, read_nikon
from ctrecon.io.raw import is_raw, read_raw
from ctrecon.io.rtk import is_rtk, read_rtk
from ctrecon.io.skyscan import is_skyscan, read_skyscan
from ctrecon.io.tiff_scan import is_tiff_scan, read_tiff_scan
from ctrecon.io.two_detect import is_2detect, read_2detect
from ctrecon.io.txrm import is_txrm, read_txrm
from ctrecon.io.walnut import is_walnut, read_walnut


@dataclass(frozen=True)
class Format:
    """``takes`` says whether a file or folder is of this format, from its name; ``read`` reads it or refuses it.

    ``volumes``: whether ``read`` can give all detector rows together, and add cells up.
    """

    name: str
    takes: Callable[[Path], bool]
    read: Callable[[Path, Ask], Measured]
    volumes: bool = False


FORMATS = (
    Format("Nikon .xtekct", is_nikon, read_nikon, volumes=True),
    Format("SkyScan .log", is_skyscan, read_skyscan, volumes=True),
    Format("EDF with .info", is_edf, read_edf),
    Format("RTK geometry .xml", is_rtk, read_rtk, volumes=True),
    Format("raw numbers with a sidecar", is_raw, read_raw),
    Format("Varian .hnd and .xim, Elekta .his", is_linac, read_linac, volumes=True),
    Format("Zeiss .txrm", is_txrm, read_txrm, volumes=True),
    Format("walnuts", is_walnut, read_walnut, volumes=True),
    Format("2DeteCT", is_2detect, read_2detect),
    Format("TIFF", is_tiff_scan, read_tiff_scan, volumes=True),
)


def format_of(path: Path) -> Format | None:
    """The format that takes ``path``, None where none does."""
    return next((one for one in FORMATS if one.takes(path)), None)
