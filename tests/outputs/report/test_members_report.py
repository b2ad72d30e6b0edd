"""Further images on the page: a picture where the files fit the image, else a sentence; none of it is called proved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_cases import HOSTILE, Page, reconstruct, run

import ctrecon as ct
from ctrecon.outputs.report.content import gather
from ctrecon.outputs.report.page import render


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = reconstruct(tmp_path_factory.mktemp("members"))
    ct.members(image, count=4, save=True, save_members=True)
    return image


def page_of(image: Path) -> Page:
    page = Page(render(gather(image)))
    assert not page.faults, page.faults
    return page


def changed(image: Path, folder: Path) -> Path:
    """The same files in another folder."""
    for path in image.parent.iterdir():
        if path.name.startswith("head"):
            (folder / path.name).write_bytes(path.read_bytes())
    return folder / image.name


def test_the_picture_and_the_list_stand_on_the_page(made: Path) -> None:
    page = page_of(made)
    assert "Other images of the same data" in page.words
    assert "It is no probability and no error bar" in page.words
    assert page.words.count("its own certificate was checked and holds") == 4
    figures = json.loads(next(text for text in page.scripts if text.startswith("{")))
    image, spread = figures["image"]["layout"], figures["members"]["layout"]
    for axis in ("xaxis", "yaxis"):
        assert image[axis]["range"] == spread[axis]["range"]
    assert figures["members"]["data"][0]["colorbar"]["title"]["text"] == "HU"
    assert figures["members"]["data"][0]["zmin"] == 0


def test_without_files_there_is_no_section(tmp_path: Path) -> None:
    assert "Other images of the same data" not in page_of(reconstruct(tmp_path)).words


@pytest.mark.sampled(2)
@pytest.mark.parametrize("what", ["map", "list", "image", "delta", "large", "negative"])
def test_what_was_changed_is_left_out_with_a_sentence(made: Path, tmp_path: Path, what: str) -> None:
    image = changed(made, tmp_path)
    spread, listed = image.with_name("head.members.npy"), image.with_name("head.members.json")
    values: dict[str, Any] = json.loads(listed.read_text())
    if what == "map":
        np.save(spread, 2 * np.load(spread))
    elif what == "list":
        listed.write_text(HOSTILE)
    elif what == "large":
        listed.write_text(" " * (1 << 21))
    elif what == "negative":
        np.save(spread, -1 - np.load(spread))
        values["range_sha256"] = hashlib.sha256(spread.read_bytes()).hexdigest()
        listed.write_text(json.dumps(values))
    else:
        values |= {"image_sha256": "0" * 64} if what == "image" else {"delta": 2 * values["delta"]}
        listed.write_text(json.dumps(values))
    page = page_of(image)
    assert "head.members.json is left out: " in page.words
    assert "plot-members" not in str(page.elements)


def test_text_stays_text_and_a_member_that_was_changed_is_refused(made: Path, tmp_path: Path) -> None:
    image = changed(made, tmp_path)
    listed = image.with_name("head.members.json")
    values = json.loads(listed.read_text())
    values["members"][1] |= {"name": HOSTILE, "how": HOSTILE}
    listed.write_text(json.dumps(values))
    member = image.with_name("head.member-1.npy")
    np.save(member, np.load(member) + np.float32(1e-4))
    image.with_name("head.member-3.certificate.json").unlink()
    page = page_of(image)
    assert "refused: the checker says:" in page.words
    assert "not saved, so not checked here" in page.words
    assert page.words.count("its own certificate was checked and holds") == 2
    assert "<script>window.pwned=1" in page.words
    assert run("report", image).exit_code in (0, 1)
