"""Kills a process (SIGKILL) just before its N-th change of the file system, for every N, and lets another one go on.

Run by test_queue.py, in a process without threads: ``python crash_everywhere.py FOLDER OBJECT...``. Prints how many
points were tried; ends with an assertion where a study was lost or done twice.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pydicom.filereader  # noqa: F401  # before the forks, not in each

from ctrecon.dicom.network.objects import read_header
from ctrecon.dicom.network.queue import Limits, Queue

CHANGES = {"os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "os.utime", "os.truncate"}
left = -1  # changes until the end; negative: for ever


def hook(event: str, arguments: tuple[object, ...]) -> None:
    global left
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if left < 0 or not (event in CHANGES or writes):
        return
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1


def life(folder: Path, objects: list[Path], world: Path) -> None:
    """Everything from arrival to delivery, going on from wherever the folder stands.

    ``world`` remembers what a crash here does not undo: objects that were acknowledged, results that were delivered.
    """
    queue = Queue(folder, Limits(free_bytes=0, most_attempts=1000))
    acknowledged = set((world / "acknowledged").read_text().split())
    for k, path in enumerate(objects):
        if str(k) not in acknowledged:
            arriving = queue.arriving / f"{k}.dcm"
            shutil.copy(path, arriving)
            queue.add(arriving, read_header(path))
            with (world / "acknowledged").open("a") as stream:
                stream.write(f"{k}\n")
    for key in queue.studies("incoming"):
        queue.complete(key)
    for key in queue.studies("ready"):
        study = queue.begin(key)
        assert study is not None
        for k in range(2):
            # Another name and content each time, so that two results could be told apart.
            (study / "output" / f"{os.getpid()}-{k}.dcm").write_bytes(b"result")
        queue.processed(key)
    for key in queue.studies("sending"):
        for path in queue.output(key):
            if path.name not in queue.delivered(key):
                with (world / "delivered").open("a") as stream:
                    stream.write(f"{path.name}\n")
                queue.note_delivery(key, path)
        queue.finish(key)
    for key in queue.studies("done"):
        queue.give_up_objects(key)
    queue.close()


def one(folder: Path, objects: list[Path], after: int) -> bool:
    """Crash after so many changes, go on, and check. Whether there was anything left to crash."""
    global left
    shutil.rmtree(folder, ignore_errors=True)
    world = folder / "world"
    world.mkdir(parents=True)
    for name in ("acknowledged", "delivered"):
        (world / name).touch()
    crashed = False
    for changes in (after, -1):
        child = os.fork()
        if child == 0:
            left = changes
            try:
                life(folder / "queue", objects, world)
            except BaseException as why:
                print(f"crash after {after} changes: {type(why).__name__}: {why}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        crashed |= os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or status == 0, after
    delivered = (world / "delivered").read_text().split()
    assert len(set(delivered)) == 2, (after, delivered)
    assert len({name.partition("-")[0] for name in delivered}) == 1, (after, delivered)
    assert len(delivered) <= 3, (after, delivered)
    unfinished = ("incoming", "ready", "running", "sending", "failed", "trash")
    states = {state: list((folder / "queue" / state).iterdir()) for state in unfinished}
    assert not any(states.values()), (after, states)
    (done,) = (folder / "queue" / "done").iterdir()
    assert (done / "received.json").read_text().count(".dcm") == len(objects), after
    return crashed


if __name__ == "__main__":
    # The system outlives the process, so what was written is there without it; this is about order, and takes seconds.
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
    sys.addaudithook(hook)
    tried = 0
    while one(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]], tried):
        tried += 1
    print(tried)
