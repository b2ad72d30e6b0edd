"""The places that messages send people to exist, and causes of a diagnosis name the look that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from test_site import anchors

from ctrecon.diagnosis.symptoms import SYMPTOMS, symptom_of
from ctrecon.support.troubles import Symptom, see

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
MESSAGE = re.compile(r"see\([\"'](\w[\w-]*)[\"']\)")


def test_the_symptoms_are_the_headings_of_the_page() -> None:
    headings = anchors(PAGE) - {"when-something-looks-wrong"}
    assert set(get_args(Symptom)) == headings
    assert set(re.findall(r"\(#([\w-]+)\) \|$", PAGE, re.M)) == headings, "each stands in the table"
    assert see("rings") == "see docs/faq.md#rings"


def test_messages_name_the_symptoms_that_people_meet_first() -> None:
    told = {name for path in (ROOT / "ctrecon").rglob("*.py") for name in MESSAGE.findall(path.read_text("utf-8"))}
    assert {"infeasible", "delta-not-met", "no-geometry", "gpu", "slow"} <= told <= set(get_args(Symptom))


def test_causes_have_their_look() -> None:
    assert symptom_of("axis") == symptom_of("axis+angles-negated") == "doubled-edges"
    assert symptom_of("lengths-in-cm") == "dim"
    assert symptom_of("axis-to-detector") is None
    assert symptom_of("no such cause") is None
    page = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z-]+)`", page)) | {"lengths-in", "distances-in", "detector-in"}
    assert set(SYMPTOMS) <= named
