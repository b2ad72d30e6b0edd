"""What ``kill -9`` leaves under temporary names goes with the next process that writes there, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctrecon.support import leftovers
from ctrecon.support.leftovers import aside_of, part_of, sweep

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no harmless signal asks whether a process lives")

# Two files that belong together, or a folder; the k-th call that changes a name is the process's last.
WRITE = """
import os, signal, sys
from pathlib import Path
from ctrecon.support.atomic import atomic_files
from ctrecon.support.folders import new_folder

here, text, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls, real = [], {name: getattr(os, name) for name in ("replace", "rename", "fsync")}

def counted(name):
    def call(*args, **options):
        calls.append(name)
        if len(calls) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[name](*args, **options)
    return call

for name in real:
    setattr(os, name, counted(name))
with atomic_files() as place:
    for name in ("a.npy", "a.json"):
        place(here / name).write_text(text)
with new_folder(here / "series", ours=lambda name: True, overwrite=True) as folder:
    (folder / "one").write_text(text)
print(len(calls))
"""


def write(folder: Path, text: str, last: int = 0) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", WRITE, str(folder), text, str(last)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def state(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def whole(text: str) -> dict[str, str]:
    return {"a.npy": text, "a.json": text, "series/one": text}


def test_after_a_kill_at_any_step_the_next_writes_and_cleans(tmp_path: Path) -> None:
    calls = int(write(tmp_path, "old").stdout)
    assert calls >= 8
    swept = 0
    for last in range(1, calls + 3, 2):  # two more: the second time, old files go aside
        killed = write(tmp_path, "new", last)
        assert killed.returncode < 0, killed.stderr
        shown = {name: text for name, text in state(tmp_path).items() if not name.startswith(".")}
        assert len({shown.get("a.npy"), shown.get("a.json")} - {None}) <= 1, f"an old and a new one: {shown}"
        swept += len(state(tmp_path)) > len(shown)
        again = write(tmp_path, "newer")
        assert again.returncode == 0, again.stderr
        left = {name: text for name, text in state(tmp_path).items() if name.startswith(".")}
        # What stood aside, with nothing new in its place, might have been all there was; it goes once something is.
        assert all(".old" in name for name in left), left
        write(tmp_path, "old")
        assert state(tmp_path) == whole("old")
    assert swept >= 4


def test_what_lives_or_is_elsewhere_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    own, dead = str(os.getpid()), str(gone.pid)
    names = [part_of(tmp_path / "u.npy").name, aside_of(tmp_path / "u.npy").name]
    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "_machine", lambda: "0123abcd")
        elsewhere = [part_of(tmp_path / "u.npy").name.replace(own, dead)]
    mine = [".hidden", ".u.part", "u.part", ".u.0123abcd.part.npy"]
    stay = [*names, *elsewhere, *mine, names[1].replace(own, dead).replace(".u.npy", ".gone.npy")]
    go = [name.replace(own, dead) for name in names]
    for name in (*stay, *go, "u.npy"):
        (tmp_path / name).write_text("")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*stay, "u.npy"}
    (tmp_path / go[0]).write_text("")
    sweep(tmp_path)
    assert (tmp_path / go[0]).exists(), "a folder is looked through once in each process"


@pytest.mark.parametrize("stem", ["u", "u" * 251, "\N{BRAIN}" * 62, "u\udcff" * 100])
def test_a_name_of_any_length_gets_temporary_ones_that_are_told_apart(stem: str, tmp_path: Path) -> None:
    path = tmp_path / (stem + ".npy")
    made = [part_of(path), part_of(path), aside_of(path), aside_of(path)]
    assert len(set(made)) == 4
    for one in made:
        one.write_text("")
        assert len(os.fsencode(one.name)) <= 255
    assert made[0].suffix == ".npy"
