"""A desk on a folder, or on what stands in one, ready to serve; and the user's browser sent to it."""

from __future__ import annotations

import html
import os
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrecon.errors import InputError
from ctrecon.workbench.desk.desk import Desk
from ctrecon.workbench.desk.index import home_of
from ctrecon.workbench.desk.server import DeskServer


def open_desk(
    place: str | os.PathLike[str], *, port: int = 0, water_mu_per_mm: float | None = None
) -> DeskServer:
    """A desk, listening on 127.0.0.1 and not yet serving.

        with open_desk("results") as server:
            print(server.guard.url)
            server.serve_forever()

    Args:
        place: A folder; or a file, or a folder that is one thing (a store, a DICOM series), which is shown first.
        port: 0 for a free one.
        water_mu_per_mm: Attenuation of water, for Hounsfield units; None for what the files say, else the usual one.

    Returns:
        The server. Its address holds a secret: whoever is told it can see the folder.

    Raises:
        InputError: There is no such place, or nothing there that can be shown.
        SettingError: The port cannot be used.
    """
    path = Path(place)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    return DeskServer(Desk(*home_of(path), water_mu_per_mm), port)


@contextmanager
def shown_in_browser(url: str) -> Iterator[None]:
    """Open ``url`` in the user's browser, by a file of the user's alone.

    An address on a command line is seen by every user of the machine, and this one holds a secret.
    """
    folder = Path(tempfile.mkdtemp(prefix="ctrecon-desk-"))  # of mode 0700
    page, there = folder / "desk.html", html.escape(url, quote=True)
    page.write_text(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={there}"><title>ctrecon</title>'
        f'<a href="{there}">Open the desk</a></html>\n',
        encoding="utf-8",
    )
    # In a thread: some browsers run in the terminal, and return when they are closed.
    threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
