"""The parts of a report: words that keep the order of bounds, units, plots, colours, structure, the history."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_cases import Page, add_audit, believing, copied, reconstruct

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.units import MM
from ctrecon.outputs.history import History, read_history
from ctrecon.outputs.report import words
from ctrecon.outputs.report.audits import Audit
from ctrecon.outputs.report.content import Content, Residual, gather
from ctrecon.outputs.report.figures import convergence_figures, image_figure, residual_figure
from ctrecon.outputs.report.page import render
from ctrecon.outputs.report.scale import choose_scale
from ctrecon.outputs.report.words import say
from ctrecon.reconstruction.problem import IterationRecord

POSITIVE = st.floats(1e-12, 1e12)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    image = copied(reconstruct(folder, "first"), folder, "head")
    add_audit(image, "a", "the nodule", 0.0041, 0.0182)
    return image


@pytest.fixture(scope="module")
def html(audited: Path) -> str:
    return render(gather(audited, check=believing))


def value(text: str) -> float:
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")  # noqa: RUF001
    return float(re.sub(r" × 10", "e", text).translate(raised))  # noqa: RUF001


@given(POSITIVE)
def test_bounds_are_rounded_to_the_safe_side(x: float) -> None:
    assert value(words.upward(x)) >= x * (1 - 1e-15)
    assert value(words.downward(x)) <= x * (1 + 1e-15)
    assert value(words.upward(x)) <= 1.001001 * x
    assert value(words.downward(x)) >= 0.998999 * x


def test_plain_rounding_would_not_be_safe() -> None:
    assert value(words.number(0.123449)) < 0.123449 < value(words.upward(0.123449)) == 0.1235


@given(POSITIVE, st.floats(0, 1e-3))
def test_a_proved_bound_never_looks_larger_than_delta(proved: float, room: float) -> None:
    within, allowed = words._in_order(proved, proved * (1 + room))
    assert value(within) <= value(allowed)


@given(POSITIVE, st.floats(1e-12, 1e-3))
def test_a_bound_on_all_images_never_looks_smaller_than_the_delta_that_it_excludes(delta: float, room: float) -> None:
    bound, asked = words._above(delta * (1 + room), delta)
    assert value(bound) > value(asked)


@given(st.floats(-1, 1), st.floats(1e-9, 1), POSITIVE, POSITIVE)
def test_limits_are_rounded_inwards_since_they_are_spoken_of_all_images_within(
    lo: float, width: float, delta: float, kappa: float
) -> None:
    audit = Audit(name="", region="", lower=0.1, upper=0.2, delta=delta, kappa=kappa, lo=lo, hi=lo + width)
    said = words.limits_of(audit, MM)
    misfit, tv, least, most = (
        value(found) for found in re.fullmatch(
            r".*misfit at most (.+), total variation at most (.+) and values from (.+) to (.+) per mm\.", said
        ).groups()  # type: ignore[union-attr]
    )  # fmt: skip
    assert misfit <= delta * (1 + 1e-15)
    assert tv <= kappa * (1 + 1e-15)
    assert lo - 1e-15 <= least <= most <= lo + width + 1e-15


@given(st.floats(-0.05, 0.05), st.floats(0, 0.05))
def test_ranges_are_rounded_outwards(lower: float, length: float) -> None:
    scale = choose_scale(np.full((2, 2), 0.02), Grid(rows=2, columns=2), None)
    low, high = scale.difference(lower), scale.difference(lower + length)
    assert scale.outward(lower, up=False) <= low
    assert scale.outward(lower + length, up=True) >= high
    # What excludes zero still does, and what does not, does not.
    assert (scale.outward(lower, up=False) > 0) <= (lower > 0)


def test_units() -> None:
    grid = Grid(rows=2, columns=2)
    body, faint = np.array([[0.0, 0.02], [0.02, 0.04]]), np.array([[0.0, 0.0096], [0.0096, 0.012]])
    scale = choose_scale(body, grid, None)
    assert scale.unit == "HU"
    assert scale.shown(body).tolist() == [[-1000, 0], [0, 1000]]
    assert "assumed" in scale.note
    assert [(w.name, w.level, w.width) for w in scale.windows(scale.shown(body))] == [
        ("Soft tissue", 40, 400), ("Brain", 40, 80), ("Abdomen", 60, 350), ("Lung", -600, 1500), ("Bone", 400, 1800),
        ("Full range", 0, 2000),
    ]  # fmt: skip
    assert choose_scale(faint, grid, None).unit == "1/mm"
    given_water = choose_scale(faint, grid, 0.0096)
    assert given_water.unit == "HU"
    assert given_water.shown(faint)[0, 1] == 0
    assert choose_scale(body, None, None).unit == "image units"
    flat = choose_scale(np.zeros((2, 2)), grid, None)
    assert all(w.width > 0 for w in flat.windows(flat.shown(np.zeros((2, 2)))))


def decoded(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    return values.reshape([int(side) for side in packed["shape"].split(",")])


def test_the_image_stands_upright_and_the_outline_where_its_region_is() -> None:
    grid = Grid(rows=6, columns=10, pixel_mm=2.0)
    image = np.zeros(grid.shape)
    image[1, 7] = 0.03
    functional = np.zeros(grid.shape)
    functional[1, 7], functional[4, 2] = 1, -1
    audit = Audit(name="a", region="<b>", lower=0.1, upper=0.2, functional=functional)
    figure, factor = image_figure(image, grid, choose_scale(image, grid, 0.02), [audit])
    picture, *lines = figure["data"]
    assert factor == 1
    values = decoded(picture["z"])
    row, column = np.unravel_index(values.argmax(), values.shape)
    x = picture["x0"] + column * picture["dx"]
    y = picture["y0"] + row * picture["dy"]
    assert (x, y) == (grid.x_mm[7], grid.y_mm[1]) == (5.0, 3.0)
    outline = lines[1]
    assert np.nanmean(np.array(outline["x"], dtype=float)[:-2]) == pytest.approx(x, abs=1e-9)
    assert np.nanmean(np.array(outline["y"], dtype=float)[:-2]) == pytest.approx(y, abs=1e-9)
    assert lines[-1]["line"]["dash"] == "dot"
    # Plotly reads markup in labels: no text from a file is in a plot.
    assert "<b>1</b>" in json.dumps(figure)
    assert json.dumps(figure).count("<b>") == 1


def test_large_pictures_are_reduced_and_no_outlier_is_lost() -> None:
    grid = Grid(rows=1500, columns=1025)
    image = np.zeros(grid.shape)
    image[:2, :2] = 0.02
    figure, factor = image_figure(image, grid, choose_scale(image, grid, 0.02), [])
    assert factor == 2
    assert decoded(figure["data"][0]["z"]).shape == (750, 513)
    assert decoded(figure["data"][0]["z"])[0, 0] == 0
    values = np.full((1500, 600), 0.01)
    values[700, 301] = -5
    left = Residual(values=values, norm=1, of_data=1, whitened=False, counted=values.size, structure=None, axis=None)
    drawn, factor = residual_figure(left)
    assert factor == 2
    assert decoded(drawn["data"][0]["z"]).min() == -5
    assert decoded(drawn["data"][0]["z"])[350, 150] == -5


def history(**changed: Any) -> History:
    steps = (IterationRecord(0, 8.0, 4.0), IterationRecord(1, math.nan, math.inf), IterationRecord(2, 0.5, 1.0))
    values: dict[str, Any] = {
        "image_sha256": "0" * 64, "certified": True, "method": "cgls", "reason": "delta met", "delta": 1.5,
        "norm": "2-norm", "delta_from": "given", "residual": 1.0, "progress": steps, "seconds": 2.0,
        "timings": {"read": 0.5}, "source": "a.npz", "notes": ("one", "two"), "operator": None,
        "projector": "SparseOperator", "device": "cpu", "made_with": {"numpy": "2"},
    }  # fmt: skip
    return History(**{**values, **changed})


def test_curves_draw_delta() -> None:
    for figure, bound in zip(convergence_figures(history()), (1.5, 1.5**2 / 2), strict=True):
        (line,) = figure["layout"]["shapes"]
        assert line["y0"] == line["y1"] == pytest.approx(bound)
        assert figure["data"][0]["y"][1] is None
        assert figure["layout"]["annotations"][0]["y"] == pytest.approx(math.log10(bound))


def test_what_is_known_where_delta_is_missed() -> None:
    grid = Grid(rows=4, columns=4)
    content = Content(
        stem="u", status="not certified", image=np.zeros((4, 4)), grid=grid, geometry=None, verdict=None, claim=None,
        worth=None, delta=1.5, norm="2-norm", residual=None, audits=(), files=(), missing={}, history=None,
    )  # fmt: skip

    def words(**known: float) -> str:
        said = say(replace(content, history=history(certified=False, residual=2.0, **known)))
        return " ".join((*said.proved, *said.not_proved))

    box = {"most_attenuation": 0.06}
    near = words(lower_bound=1.23456, best_residual=1.6, **box)
    assert "no image with attenuation from 0 to 0.06 comes closer than 1.234" in near
    assert "whether another image meets delta" in near
    met = words(lower_bound=-0.3, best_residual=1.43219, **box)
    assert "comes closer" not in met
    assert "misses the data by 1.433 only" in met
    assert words() == words(lower_bound=0.0, best_residual=1.51, **box)


def test_a_history_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "u.history.json"
    path.write_bytes(history().to_bytes())
    again = read_history(path)
    assert again.to_bytes() == history().to_bytes()
    path.write_bytes(history(lower_bound=0.5, best_residual=0.75, most_attenuation=1.0).to_bytes())
    missed = read_history(path)
    assert (missed.lower_bound, missed.best_residual, missed.most_attenuation) == (0.5, 0.75, 1.0)
    assert again.progress[0] == IterationRecord(0, 8.0, 4.0)
    assert math.isnan(again.progress[1].energy)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "[" * 100_000, '{"format": "ctrecon-history/1"}', '{"format": "ctrecon-history/2"}', "\x00",
        *(json.dumps({**json.loads(history().to_bytes()), **change}) for change in (
            {"delta": "1"}, {"delta": math.nan}, {"delta": True}, {"progress": [[0, 1]]}, {"progress": [["0", 1, 1]]},
            {"progress": [[0, 1, []]]}, {"notes": "one"}, {"notes": [1]}, {"timings": {"a": "b"}}, {"unknown": 1},
            {"method": "x" * 20_000}, {"operator": []}, {"certified": 1}, {"seconds": 10**400}, {"made_with": [1]},
        )),
    ],
)  # fmt: skip
def test_a_bad_history_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "u.history.json"
    path.write_text(text)
    with pytest.raises(InputError) as why:
        read_history(path)
    assert "\n" not in str(why.value)
    assert str(path) in str(why.value)


def test_the_page_asks_nothing_of_the_world(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, name)
    assert "url(" not in files("ctrecon.outputs.report").joinpath("style.css").read_text()
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    data, *code = page.scripts
    json.loads(data)
    for script in code:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(html) < 6_000_000


def test_structure(html: str) -> None:
    page = Page(html)
    assert not page.faults
    assert html.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert page.all(landmark), landmark
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for target in (attributes.get(name) or "").split():
                assert target in ids, target
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids
    labelled = {label.get("for") for label in page.all("label")}
    for field in page.all("input"):
        assert field.get("id") in labelled or field.get("aria-label") or field["type"] == "checkbox"
    assert all(image.get("alt") for image in page.all("img"))
    plots = [a for a in page.all("div") if (a.get("class") or "").startswith("plot")]
    assert len(plots) == 6
    assert all(a.get("aria-label") or a.get("aria-labelledby") for a in plots)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, relative luminance."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast(scheme: int) -> None:
    from ctrecon.outputs.report import figures

    css = files("ctrecon.outputs.report").joinpath("style.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css.split(":root {")[1 + scheme].split("}")[0]))
    for back in ("page", "card", "code"):
        for ink in ("ink", "soft", "accent"):
            assert contrast(colours[ink], colours[back]) >= 4.5, (ink, back)
    for mood in ("good", "bad", "open"):
        assert contrast(colours[mood], colours[f"{mood}-back"]) >= 4.5, mood
        assert contrast(colours["ink"], colours[f"{mood}-back"]) >= 4.5, mood
    assert contrast(colours["accent-ink"], colours["accent"]) >= 4.5
    for line in (figures.BLUE, figures.ORANGE, figures.RED, figures.GREEN, figures.AMBER, colours["focus"]):
        assert contrast(line, colours["card"]) >= 3, line
    assert contrast("#777777", "#888888") < 3
