"""Who sees a study in its new state sees the figures and the log of that state, however slow the node's threads are."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from nodes_here import Here, here, result_of
from pacs_nodes import Sink, wait_for
from pacs_objects import study
from test_monitoring import metrics

from ctrecon.dicom.network import queue as queue_file
from ctrecon.dicom.network import study_folders
from ctrecon.dicom.network.figures import Figures
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import headers_of
from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.store import send

pytest.importorskip("pynetdicom")
US = Connection(title="SCANNER", retries=0, timeout_s=10)
SLOW_S = 0.1


@pytest.fixture(params=["figures", "move", "disk"])
def slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose thread is put to sleep at the worst places: before it counts, or after it has moved a study."""

    def late(owner: object, name: str, *, before: bool) -> None:
        real = getattr(owner, name)

        def called(*arguments: object, **options: object) -> object:
            if before:
                time.sleep(SLOW_S)
            result = real(*arguments, **options)
            if not before:
                time.sleep(SLOW_S)
            return result

        monkeypatch.setattr(owner, name, called)

    if request.param == "figures":
        late(Figures, "count", before=True)
    elif request.param == "move":
        late(Queue, "move", before=False)
    else:
        for place in (queue_file, study_folders):
            late(place, "sync_folder", before=True)


def arrives(node: Here, folder: Path, *, name: object = 1) -> None:
    assert send(node.node, US, headers_of([study(folder, name, 1)])).complete


@pytest.mark.usefixtures("slow")
def test_a_study_that_is_done_is_counted_and_in_the_log(tmp_path: Path) -> None:
    with Sink() as sink, here(tmp_path / "queue", sink, health_port=0) as node:
        arrives(node, tmp_path / "one")
        wait_for(lambda: node.queue.studies("sending") or node.queue.studies("done"))
        assert any("processed in" in line for line in node.lines)
        assert metrics(node.lines)["ctrecon_studies_processed_total"] == 1
        wait_for(lambda: node.queue.studies("done"))
        assert any("1 objects delivered" in line for line in node.lines)
        after = metrics(node.lines)
        assert after["ctrecon_studies_delivered_total"] == after['ctrecon_studies{state="done"}'] == 1


@pytest.mark.usefixtures("slow")
def test_figures_of_one_moment_agree_at_every_moment(tmp_path: Path) -> None:
    """A scraper that never rests: where a study stands and how often it was counted are one statement."""
    with Sink() as sink, here(tmp_path / "queue", sink, health_port=0) as node:
        arrives(node, tmp_path / "one")
        seen = set()
        while ("done", 1.0) not in seen:
            now = metrics(node.lines)
            state = next((s for s in ("sending", "done") if now[f'ctrecon_studies{{state="{s}"}}']), "before")
            counted = now["ctrecon_studies_processed_total"] + now["ctrecon_studies_delivered_total"]
            assert counted == {"before": 0, "sending": 1, "done": 2}[state]
            seen.add((state, counted / 2))


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("where", ["arrival", "processing", "delivery"])
def test_a_study_that_failed_is_counted_and_in_the_log(where: str, tmp_path: Path) -> None:
    def fails(folder_in: Path, folder_out: Path, tell: object) -> bool:
        raise ValueError

    process = fails if where == "processing" else result_of
    with Sink(refuse=0xA900) as sink:
        rules = {"most_refusals": 1, "wait_s": 3600.0}
        with here(tmp_path / "queue", sink, process=process, rules=rules, health_port=0) as node:
            if where == "arrival":
                node.queue.missing.refused(headers_key(tmp_path), "0" * 8, begun=True)
            arrives(node, tmp_path / "one")
            # Only now: a node that waits for less than the study takes to come would forget that something is missing.
            node.listener.rules = replace(node.listener.rules, wait_s=0.1)
            wait_for(lambda: node.queue.studies("failed"))
            assert any("failed" in line for line in node.lines)
            assert metrics(node.lines)[f'ctrecon_studies_failed_total{{where="{where}"}}'] == 1
            assert [failed for _, failed in node.listener.figures.failures] in ([], [where])


def headers_key(tmp_path: Path) -> str:
    from ctrecon.dicom.network.objects import name_for

    return name_for(headers_of([study(tmp_path / "one", 1, 1)])[0].study)
