"""What monitoring sees of a node: health, metrics, alerts, a log that rotates, and how far a study is."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from nodes_here import here
from pacs_nodes import Listening, Sink, run, wait_for
from pacs_objects import NAME, PATIENT, ct, processing, study

from ctrecon.dicom.network.alerts import Alerts
from ctrecon.dicom.network.associate import associate
from ctrecon.dicom.network.figures import Figures
from ctrecon.dicom.network.log import Log
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import headers_of
from ctrecon.dicom.network.process import Command, ProcessError, words_of
from ctrecon.dicom.network.queue import Limits, Queue
from ctrecon.dicom.network.repeated import Repeated
from ctrecon.dicom.network.store import send
from ctrecon.errors import OutputError, SettingError

US = Connection(retries=0, timeout_s=10)


def health_port(lines: list[str]) -> int:
    """Where the log says that health is to be found."""
    found = (re.search(r"health and metrics at http://127.0.0.1:(\d+)/health", line) for line in lines)
    return int(next(one for one in found if one)[1])


def page(lines: list[str], path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{health_port(lines)}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as why:
        with why:
            return why.code, why.read().decode()


def metrics(lines: list[str]) -> dict[str, float]:
    code, text = page(lines, "/metrics")
    assert code == 200
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    assert all(name.startswith("ctrecon_") for name, _, _ in rows)
    return {name: float(value) for name, _, value in rows}


def test_health_and_metrics_say_how_the_queue_stands(tmp_path: Path) -> None:
    with Sink() as sink, here(tmp_path / "queue", sink, health_port=0) as node:
        assert page(node.lines, "/health") == (200, "ok\n")
        assert page(node.lines, "/else")[0] == 404
        before = metrics(node.lines)
        assert before['ctrecon_studies{state="done"}'] == 0
        assert send(node.node, US, headers_of([study(tmp_path / "one", 1, 3)])).complete
        wait_for(lambda: node.queue.studies("done"))
        after = metrics(node.lines)
        assert after['ctrecon_objects_total{status="0x0000"}'] == 3
        assert after["ctrecon_associations_total"] == 1
        assert after["ctrecon_studies_processed_total"] == after["ctrecon_studies_delivered_total"] == 1
        assert after['ctrecon_studies{state="done"}'] == 1
        assert 0 <= after['ctrecon_oldest_study_seconds{state="done"}'] < 60
        assert after["ctrecon_queue_bytes"] > 1000
        sink.refuse = 0xA700
        node.queue.limits = Limits(free_bytes=1 << 60)
        assert not send(node.node, US, headers_of([study(tmp_path / "two", 2, 2)])).complete
        assert metrics(node.lines)['ctrecon_objects_total{status="0xA700"}'] == 2
        assert metrics(node.lines)["ctrecon_studies_incomplete"] == 1
        assert page(node.lines, "/health") == (503, "there is no room for another object\n")
        # Who connects and says nothing keeps nobody out.
        with socket.create_connection(("127.0.0.1", health_port(node.lines))):
            assert page(node.lines, "/health")[0] == 503


def test_somebody_is_alerted_of_failures_and_of_what_piles_up_and_of_no_patient(tmp_path: Path) -> None:
    script = tmp_path / "alert.py"
    script.write_text(
        "import json, secrets, sys, pathlib\n"
        f"(pathlib.Path({str(tmp_path)!r}) / ('alert' + secrets.token_hex(8) + '.json')).write_text(sys.stdin.read())\n"
    )

    def fails(folder_in: Path, folder_out: Path, tell: object) -> bool:
        raise ValueError(f"of {NAME}, {PATIENT}")

    def alerts() -> list[dict[str, object]]:
        texts = [path.read_text() for path in tmp_path.glob("alert*.json")]
        assert not any(NAME in text or PATIENT in text or "2.25." in text for text in texts)
        return [json.loads(text) for text in texts if text]

    rules = {"alert_studies": 2}
    alert = (sys.executable, str(script))
    with Sink() as sink, here(tmp_path / "queue", sink, alert=alert, rules=rules, process=fails) as node:
        assert send(node.node, US, headers_of([study(tmp_path / "one", 1, 2)])).complete
        (key,) = wait_for(lambda: node.queue.studies("failed"))
        failed = wait_for(lambda: [one for one in alerts() if one["event"] == "failed"])
        assert [(one["study"], one["where"], one["node"]) for one in failed] == [(key, "processing", "NODE")]
        with associate(node.node, US, [("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1"])]) as association:
            for number in (2, 3):
                association.send_c_store(ct(tmp_path / f"{number}.dcm", number))
            wait_for(lambda: [one for one in alerts() if one["event"] == "waiting"])
            before = len(alerts())
            time.sleep(1.2)  # a second look: what lasts is repeated by the hour
            assert len(alerts()) == before


def alerts_with(tmp_path: Path, script: str, lines: list[str], **changes: object) -> Alerts:
    words = (sys.executable, "-c", script) if script else ("/no/such/program",)
    queue = Queue(tmp_path / "queue", Limits(free_bytes=0))
    return Alerts("NODE", queue, Figures(), Repeated(lines.append), words, **changes)


@pytest.mark.parametrize(("script", "said"), [
    ("", "cannot be started: No such file or directory; check --alert"),
    ("import sys; print('x' * 1000000); sys.exit(3)", "ended with exit code 3"),
    ("import os, time; os.fork(); os.close(0); time.sleep(1000)", "did not end within 0.2 s and was killed"),
])  # fmt: skip
def test_an_alert_that_does_not_work_is_in_the_log_and_harms_nothing(tmp_path: Path, script: str, said: str) -> None:
    lines: list[str] = []
    alerts = alerts_with(tmp_path, script, lines, most_s=0.2 if "within" in said else 60.0)
    alerts.figures.failed("k" * 32, "delivery")
    alerts.look()
    wait_for(lambda: f"the alert command {said}" in lines, said)
    alerts.queue.close()


def test_however_many_alerts_wait_one_command_runs_at_a_time_and_ends_with_the_node(tmp_path: Path) -> None:
    got, lines, stop = tmp_path / "got", [], threading.Event()
    script = f"import sys, time; open({str(got)!r}, 'a').write(sys.stdin.read() + chr(10)); time.sleep(1000)"
    alerts = alerts_with(tmp_path, script, lines, most_s=1000.0, stop=stop)
    for k in range(150):
        alerts.figures.failed(f"{k:032}", "processing")
    alerts.look()
    wait_for(lambda: got.exists() and got.read_text().endswith("\n"))
    assert [thread.name for thread in threading.enumerate()].count("alert") == 1
    assert len(got.read_text().splitlines()) == 1
    assert (len(alerts._due), alerts._left_out) in {(99, 50), (100, 49)}
    stop.set()
    wait_for(lambda: "alert" not in [thread.name for thread in threading.enumerate()])
    assert lines == []
    alerts.queue.close()


def test_a_log_rotates_and_its_troubles_are_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    log = Log(path, most_bytes=1000, kept=3)
    for k in range(100):
        log(f"line {k} \x1b[31m\nforged")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["node.log", "node.log.1", "node.log.2", "node.log.3"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "line 99 \\x1b[31m\\nforged" in path.read_text()
    assert not any("\x1b" in file.read_text() for file in files)
    with pytest.raises(OutputError, match="choose another"):
        Log(tmp_path / "node.log" / "inside.log")


def test_what_a_log_cannot_take_goes_to_standard_error_and_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Log(Path("/dev/full"))("a line for which there is no room")
    assert capsys.readouterr().err.endswith("a line for which there is no room\n")
    path = tmp_path / "logs" / "node.log"
    log = Log(path)
    log("before")
    path.parent.rename(tmp_path / "away")
    log("one")
    log("two")
    assert [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()] == ["one", "two"]
    (tmp_path / "away").rename(path.parent)
    log("after")
    assert [line.partition(" ")[2] for line in path.read_text().splitlines()] == [
        "before", "2 lines could not be written here and went to standard error", "after"
    ]  # fmt: skip


def test_the_command_takes_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "node.log"
    options = ("--command", processing(tmp_path), "--log", log, "--log-size", 0.001, "--health-port", 0)
    more = ("--alert", "true", "--commit", "--peer", "A@b:104")
    node = Listening(tmp_path / "queue", "X@127.0.0.1:1", (*options, *more))
    node.log_path = log
    with node:
        assert page(log.read_text().splitlines(), "/health") == (200, "ok\n")
        for _ in range(30):
            assert run("dicom", "echo", "--to", node.node).exit_code == 0
        assert node.end() == 0
    assert (tmp_path / "logs" / "node.log.1").exists()


# --- how far a study is


def test_every_slice_that_is_done_is_in_the_log_and_nothing_else_of_what_was_printed(tmp_path: Path) -> None:
    script = f"print('patient {NAME}'); [print(f'slice {{k}} of 3, z = {{k}} mm: {NAME}') for k in (1, 2, 3)]"
    command = Command(words=(sys.executable, "-c", f"import shutil, sys; {script}; shutil.copytree(sys.argv[1], "
                             "sys.argv[2], dirs_exist_ok=True)", "{input}", "{output}"))  # fmt: skip
    with Sink() as sink, here(tmp_path / "queue", sink, process=command) as node:
        assert send(node.node, US, headers_of([ct(tmp_path / "1.dcm")])).complete
        wait_for(lambda: node.queue.studies("done"))
        said = [line.partition(": ")[2] for line in node.lines if "slice" in line]
    assert said == ["slice 1 of 3", "slice 2 of 3", "slice 3 of 3"]
    assert not any(NAME in line for line in node.lines)


def test_a_job_may_last_while_it_shows_progress_and_is_ended_where_it_shows_none(tmp_path: Path) -> None:
    loop = "import sys, time, pathlib\nfor k in range(6):\n    time.sleep(0.25)\n    {}\n"
    for shown in ("print(k)", "pathlib.Path(sys.argv[1], str(k)).touch()"):
        folder = tmp_path / shown[:5]
        folder.mkdir()
        words = (sys.executable, "-c", loop.format(shown), str(folder), "{input}", "{output}")
        assert Command(words=words, most_seconds=0.7)(tmp_path, folder)
    words = (sys.executable, "-c", loop.format("pass"), "{input}", "{output}")
    with pytest.raises(ProcessError, match=r"no progress for 0\.7 s"):
        Command(words=words, most_seconds=0.7)(tmp_path, tmp_path)
    # What it prints without end takes no room, and its last lines are the reason all the same.
    much = "print('x' * 3_000_000); print('the reason'); raise SystemExit(5)"
    words = (sys.executable, "-c", much, "{input}{output}")
    with pytest.raises(ProcessError, match="exit code 5: the reason"):
        Command(words=words)(tmp_path, tmp_path)


@pytest.mark.parametrize("text", ["", "'open", "/no/such/program --now", "no-such-program-here", "/dev/null"])
def test_a_command_that_can_never_run_is_refused_before_the_node_starts(text: str) -> None:
    with pytest.raises(SettingError, match="--alert"):
        words_of(text, "--alert")
    assert words_of(f"'{sys.executable}' -c 'x y'", "--alert") == (sys.executable, "-c", "x y")
