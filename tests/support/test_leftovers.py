"""What ``kill -9`` leaves under temporary names goes with the next process that writes there, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctrecon.support import temporary_names
from ctrecon.support.leftovers import sweep
from ctrecon.support.swap import finish_swaps
from ctrecon.support.temporary_names import aside_of, part_of, plan_of

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


def test_after_a_kill_at_any_step_all_is_old_or_new_and_the_next_cleans(tmp_path: Path) -> None:
    write(tmp_path, "old")
    calls = int(write(tmp_path, "old").stdout)
    assert calls >= 10
    halves = swept = 0
    for last in range(1, calls + 1):
        if last > 8 and last % 2:
            continue
        killed = write(tmp_path, "new", last)
        assert killed.returncode < 0, killed.stderr
        shown = {name: text for name, text in state(tmp_path).items() if not name.startswith(".")}
        assert len({shown.get("a.npy"), shown.get("a.json")} - {None}) <= 1, f"an old and a new one: {shown}"
        halves += len(shown) < 3
        assert finish_swaps(tmp_path)
        seen = {name: text for name, text in state(tmp_path).items() if not name.startswith(".")}
        assert seen.keys() == whole("").keys(), f"killed before call {last}"
        assert seen["a.npy"] == seen["a.json"]
        swept += len(state(tmp_path)) > len(seen)
        again = write(tmp_path, "old")
        assert again.returncode == 0, again.stderr
        assert state(tmp_path) == whole("old")
    assert halves >= 3
    assert swept >= 2


@pytest.mark.parametrize(
    "listed",
    [
        "", "[]", '{"new": 1}', '{"new": [["/etc/a", ".a"]], "aside": []}', '{"new": [["a", "../b"]], "aside": []}',
        '{"new": [["a", "b"]], "aside": []}', '{"new": [], "aside": [["a", ".b"]]}', "{" * 9999,
    ],
)  # fmt: skip
def test_a_list_that_was_cut_off_or_forged_moves_nothing(listed: str, tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    plan = tmp_path / plan_of(tmp_path / "a").name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    plan.write_text(listed)
    (tmp_path / "a").write_text("mine")
    (tmp_path / "b").write_text("mine")
    finish_swaps(tmp_path)
    assert state(tmp_path) == {"a": "mine", "b": "mine"}


def test_what_lives_or_is_elsewhere_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    own, dead = str(os.getpid()), str(gone.pid)
    names = [part_of(tmp_path / "u.npy").name, aside_of(tmp_path / "u.npy").name]
    with monkeypatch.context() as patch:
        patch.setattr(temporary_names, "_machine", lambda: "0123abcd")
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
