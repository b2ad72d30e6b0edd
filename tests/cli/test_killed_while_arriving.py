"""``kill -9`` while files arrive: each that is seen is whole, and the same command brings the rest and cleans up.

As in ``test_killed_between.py`` the moments of one run are looked at; here a second run begins from each of them.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from archive import archive
from click.testing import CliRunner, Result
from command_lines import ARRIVE
from data_server import NOTES, data_server
from dicom_files import ct
from full_disk import files_end_at

from ctrecon.cli.main import cli

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
STUDY = str(ct().StudyInstanceUID)
LOCK = "ctrecon-data.lock.json"


def opened() -> dict[int, io.BufferedWriter | socket.socket]:
    return {id(one): one for one in gc.get_objects() if isinstance(one, io.BufferedWriter | socket.socket)}


@pytest.fixture(autouse=True)
def _what_the_library_forgets_to_close() -> Iterator[None]:
    """pynetdicom leaves sockets, and a file that could not be written, to the garbage collector: here, not in another
    module, whatever still refers to them.
    """
    before, running = set(opened()), set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - running:
        thread.join(10)
    for key, one in opened().items():
        if key not in before:
            with contextlib.suppress(OSError):
                one.close()


@contextmanager
def data_set(folder: Path) -> Iterator[str]:
    """One file with a hash that its publisher states, and one without."""
    with data_server() as server:
        server.content = {"scan.mat": bytes(range(256)) * 300, "notes.csv": NOTES}
        files = [{"name": name, "url": f"{server.root}/files/{name}"} for name in server.content]
        files[0]["hash"] = f"sha256:{hashlib.sha256(server.content['scan.mat']).hexdigest()}"
        files[0]["size"] = len(server.content["scan.mat"])  # type: ignore[assignment]
        said = {"title": "t", "authors": "a", "licence": "l", "files": files}
        (folder / "sets.json").write_text(json.dumps({"local": said}))
        yield f"data fetch local --sets {folder / 'sets.json'} --accept-licence --to"


@contextmanager
def node(_: Path) -> Iterator[str]:
    with archive(None) as pacs:
        pacs.kept = [ct(k) for k in range(2)]
        yield f"dicom get {STUDY} --from {pacs.node} -o"


class Web(BaseHTTPRequestHandler):
    """Gives any study (WADO-RS)."""

    objects: tuple[bytes, ...] = ()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary="bound"')
        self.end_headers()
        for one in self.objects:
            self.wfile.write(b"--bound\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n")
        self.wfile.write(b"--bound--\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def web(folder: Path) -> Iterator[str]:
    for k in range(2):
        ct(k).save_as(folder / f"{k}", enforce_file_format=True)
    kind = type("Kind", (Web,), {"objects": tuple((folder / f"{k}").read_bytes() for k in range(2))})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        running = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        running.start()
        try:
            yield f"dicom get {STUDY} --url http://127.0.0.1:{server.server_port} -o"
        finally:
            server.shutdown()
            running.join()


WAYS: dict[str, Callable[[Path], Any]] = {"data fetch": data_set, "dicom get": node, "dicom get --url": web}


def test_each_command_to_which_files_come_is_here() -> None:
    assert {" ".join(way.split()[:2]) for way in WAYS} == set(ARRIVE)


def run(line: str) -> Result:
    return CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shown(folder: Path) -> dict[str, bytes]:
    """What a reader sees; of a lock, which is rewritten with each file, all but the time."""
    seen = {name: raw for name, raw in content(folder).items() if not any(p.startswith(".") for p in Path(name).parts)}
    if LOCK in seen:
        noted = json.loads(seen[LOCK])["files"]
        seen[LOCK] = json.dumps({name: one["sha256"] for name, one in noted.items()}).encode()
    return seen


def moments(line: str, to: Path, keep: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder as it is after each change of a name, as one that a killed process left."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    left: list[Path] = []
    with monkeypatch.context() as patch:
        for name in ("replace", "rename", "unlink", "mkdir"):
            real = getattr(os, name)

            def watched(path: Any, *words: Any, real: Any = real, **more: Any) -> Any:
                done = real(path, *words, **more)
                if to.exists() and str(path).startswith(str(to)):
                    left.append(shutil.copytree(to, keep / str(len(left)), copy_function=shutil.copyfile))
                return done

            patch.setattr(os, name, watched)
        done = run(f"{line} {to}")
        assert done.exit_code == 0, done.output
    for path in sorted(keep.rglob(f".*-{os.getpid()}-*"), reverse=True):
        path.rename(path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")))
    return list({str(sorted(content(folder).items())): folder for folder in left}.values())


@pytest.mark.skipif(os.name != "posix", reason="no harmless signal asks whether a process lives")
@pytest.mark.parametrize("way", ["data fetch", pytest.param("dicom get", marks=pytest.mark.long), "dicom get --url"])
def test_the_same_command_goes_on_from_any_moment(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, keep = tmp_path / "to", tmp_path / "moments"
    keep.mkdir()
    with WAYS[way](tmp_path) as line:
        left = moments(line, to, keep, monkeypatch)
        end = shown(to)
        assert len(end) >= 2
        assert content(to).keys() == end.keys(), "something hidden is left"
        assert len(left) >= 3
        partly = 0
        for folder in left:
            before = shown(folder)
            partly += 0 < len(before) < len(end)
            assert all(end.get(name) == raw for name, raw in before.items() if name != LOCK), before.keys()
            again = run(f"{line} {folder}")
            assert again.exit_code == 0, again.output
            assert shown(folder) == end
            assert content(folder).keys() == end.keys(), "what was left behind goes"
        assert partly


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk_is_one_line_and_what_came_whole_stays(way: str, tmp_path: Path) -> None:
    to = tmp_path / "to"
    with WAYS[way](tmp_path) as line:
        with files_end_at(900):
            result = run(f"{line} {to}")
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith(f"ctrecon: {to}")
        assert result.stderr.count("\n") == 1
        assert not shown(to).keys() - {LOCK} if to.exists() else True
        assert run(f"{line} {to}").exit_code == 0
