"""``ctrecon view`` prints one address and ends at Ctrl-C; the browser learns the address from a file of the user's."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from click.testing import CliRunner

from ctrecon.cli.main import cli
from ctrecon.workbench.desk.open import shown_in_browser
from ctrecon.workbench.desk.server import DeskServer


def test_it_prints_one_address_and_ends_at_ctrl_c(desk_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[DeskServer] = []

    def interrupted(server: DeskServer) -> None:
        served.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(DeskServer, "serve_forever", interrupted)
    done = CliRunner().invoke(cli, ["view", str(desk_folder / "head.npy"), "--no-browser"])
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/\n", done.stdout)
    assert done.stdout.strip() == served[0].guard.url
    assert served[0].desk.chosen == served[0].desk.index.number_of(desk_folder / "head.npy")
    assert served[0].socket.fileno() == -1  # closed


@pytest.mark.parametrize(
    ("place", "said"),
    [("nowhere", "no such file or folder"), ("notes.txt", "no kind of file that the desk"), ("link.npy", "a link")],
)
def test_a_place_that_cannot_be_shown_is_one_line(desk_folder: Path, place: str, said: str) -> None:
    done = CliRunner().invoke(cli, ["view", str(desk_folder / place), "--no-browser"])
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_address_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user of the machine sees command lines; the file that leads there is its owner's alone, and goes."""
    opened: list[str] = []
    called = threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda url: (opened.append(url), called.set()))
    url = "http://127.0.0.1:1/secret/"
    with shown_in_browser(url):
        assert called.wait(20)
        page = Path(url2pathname(urlsplit(opened[0]).path))
        assert "secret" not in opened[0]
        assert f"url={url}" in page.read_text()
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    assert not page.exists()
