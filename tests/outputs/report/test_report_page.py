"""The report in a real browser: it asks nothing of the world, works by mouse and keyboard, and text stays text."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import leaving, open_page, requested, set_scheme, until
from PIL import Image as Picture
from report_cases import HOSTILE, add_audit, believing, copied, reconstruct

from ctrecon.outputs.report.content import gather
from ctrecon.outputs.report.page import write_page

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a certified image with three regions and hostile text wherever text may stand."""
    folder = tmp_path_factory.mktemp("browser")
    image = copied(reconstruct(folder, "first"), folder, "head <b>&'\"")
    add_audit(image, "a", HOSTILE, 0.0041, 0.0182)
    add_audit(image, "b", "a vessel", -0.0048, 0.0062)
    image.with_name(image.stem + ".c.certificate.json").write_text(HOSTILE)
    history = image.with_name(image.stem + ".history.json")
    values = json.loads(history.read_text())
    history.write_text(json.dumps({**values, "notes": [HOSTILE], "reason": HOSTILE, "patient_position": "FFS"}))
    path = folder / "report.html"
    write_page(path, gather(image, check=believing))
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    """The page, drawn, in a wide light window, with empty logs."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    set_scheme(browser, "light")
    browser.get_log("browser"), browser.get_log("performance")
    open_page(browser, page)
    return browser


WINDOWS = ["Soft tissue", "Brain", "Abdomen", "Lung", "Bone", "Full range"]


def press(browser: Any, name: str) -> None:
    """As a person does, who scrolls to a button first."""
    button = browser.find_element(By.ID, name)
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", button)
    button.click()


def marks(browser: Any) -> dict[str, tuple[float, float]]:
    """The letters that are seen, and where from left and top, as shares of the picture."""
    letters = browser.find_elements(By.CSS_SELECTOR, "#plot-image .annotation text")
    frame = browser.find_element(By.CSS_SELECTOR, "#plot-image .heatmaplayer image").rect
    shares = {}
    for one in letters:
        box = one.rect
        x, y = box["x"] + box["width"] / 2 - frame["x"], box["y"] + box["height"] / 2 - frame["y"]
        shares[one.text] = (x / frame["width"], y / frame["height"])
    return shares


def window(browser: Any) -> list[float]:
    found = browser.execute_script("const d = document.getElementById('plot-image').data[0]; return [d.zmin, d.zmax]")
    return [float(value) for value in found]


def pixels(browser: Any) -> np.ndarray[Any, Any]:
    plot = browser.find_element(By.ID, "plot-image")
    return np.asarray(Picture.open(io.BytesIO(plot.screenshot_as_png)).convert("L"), dtype=float)


def ranges(browser: Any) -> list[list[float]]:
    script = "const l = document.getElementById('plot-image')._fullLayout; return [l.xaxis.range, l.yaxis.range]"
    return [[float(end) for end in axis] for axis in browser.execute_script(script)]


def test_it_loads_alone_and_without_a_word_on_the_console(opened: Any, page: Path) -> None:
    assert opened.get_log("browser") == []
    urls = requested(opened)
    assert page.as_uri() in urls
    assert leaving(urls, page) == []
    drawn = opened.execute_script("return document.querySelectorAll('.js-plotly-plot .main-svg').length")
    assert drawn >= 5


def test_a_request_would_be_blocked_and_noticed(opened: Any, page: Path) -> None:
    opened.execute_script(
        "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s);"
    )
    end = time.monotonic() + 20
    said: list[str] = []
    while len(said) < 2 and time.monotonic() < end:
        said += [entry["message"] for entry in opened.get_log("browser")]
        time.sleep(0.05)
    assert sum("Content Security Policy" in line for line in said) >= 2, said
    assert opened.execute_script("return window.pwned") is None


def test_the_window_changes_the_picture(opened: Any) -> None:
    buttons = {button.text: button for button in opened.find_elements(By.CSS_SELECTOR, "#presets button")}
    assert list(buttons) == WINDOWS
    assert window(opened) == [-160, 240]
    buttons["Full range"].click()
    until(opened, "return document.getElementById('plot-image').data[0].zmin !== -160")
    full, before = window(opened), pixels(opened)
    buttons["Soft tissue"].click()
    until(opened, "return document.getElementById('plot-image').data[0].zmin === -160")
    after = pixels(opened)
    assert before.shape == after.shape
    assert np.abs(after - before).mean() > 5
    assert [b.get_attribute("aria-pressed") for b in buttons.values()] == ["true", *["false"] * 5]
    assert "Black at −160, white at 240 HU" in opened.find_element(By.ID, "window-said").text  # noqa: RUF001
    buttons["Full range"].click()
    until(opened, "return document.getElementById('plot-image').data[0].zmin !== -160")
    assert window(opened) == full
    assert np.abs(pixels(opened) - before).mean() < 0.5


def test_the_patients_sides_stand_at_the_picture(opened: Any) -> None:
    seen = marks(opened)
    middle = pytest.approx(0.5, abs=0.03)
    assert [seen["R"][1], seen["L"][1], seen["A"][0], seen["P"][0]] == [middle] * 4
    assert seen["R"][0] < 0.1 < 0.9 < seen["L"][0]
    assert seen["A"][1] < 0.1 < 0.9 < seen["P"][1]
    opened.execute_script("document.getElementById('outlines').click()")
    until(opened, "return document.getElementById('plot-image').data[1].visible === false")
    assert set(marks(opened)) == {"R", "L", "A", "P"}


def test_level_and_width_can_be_typed_and_slid(opened: Any) -> None:
    for name, text in (("level", "100"), ("width", "300")):
        field = opened.find_element(By.ID, name)
        field.clear()
        field.send_keys(text)
    assert window(opened) == [-50, 250]
    pressed = opened.find_elements(By.CSS_SELECTOR, "#presets [aria-pressed=true]")
    assert pressed == []
    # What is no window changes nothing.
    opened.find_element(By.ID, "width").clear()
    opened.find_element(By.ID, "width").send_keys("-5")
    assert window(opened)[1] > window(opened)[0]
    opened.find_element(By.ID, "level-slider").send_keys(Keys.HOME)
    level = float(opened.find_element(By.ID, "level-slider").get_attribute("min"))
    assert sum(window(opened)) / 2 == pytest.approx(level, abs=1)


def test_everything_can_be_reached_and_used_by_keyboard(opened: Any) -> None:
    def focused() -> str:
        return str(opened.execute_script("const e = document.activeElement; return e.id || e.textContent.trim()"))

    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert focused() == "Skip to the report"
    seen = []
    for _ in range(40):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(focused())
        if seen[-1] == "Lung":
            opened.switch_to.active_element.send_keys(Keys.ENTER)
            assert window(opened) == [-1350, 150]
        if seen[-1] == "outlines":
            opened.switch_to.active_element.send_keys(Keys.SPACE)
            until(opened, "return document.getElementById('plot-image').data[1].visible === false")
    controls = [*WINDOWS, "level", "level-slider", "width", "width-slider"]
    wanted = ["plot-image", *controls, "zoom-in", "zoom-out", "zoom-all", "outlines"]
    assert [name for name in seen if name in wanted][: len(wanted)] == wanted


def test_zoom_by_buttons_and_keys(opened: Any) -> None:
    whole = ranges(opened)
    press(opened, "zoom-in")
    closer = ranges(opened)
    assert abs(closer[0][1] - closer[0][0]) < 0.8 * abs(whole[0][1] - whole[0][0])
    plot = opened.find_element(By.ID, "plot-image")
    plot.send_keys(Keys.ARROW_RIGHT)
    assert ranges(opened)[0][0] > closer[0][0]
    plot.send_keys(Keys.ARROW_UP)
    assert ranges(opened)[1][0] > closer[1][0]
    for _ in range(20):
        plot.send_keys(Keys.ARROW_LEFT)
    assert ranges(opened)[0][0] == pytest.approx(whole[0][0])
    plot.send_keys("0")
    assert np.allclose(ranges(opened), whole)
    press(opened, "zoom-out")
    assert np.allclose(ranges(opened), whole)


def test_hostile_text_stays_text(opened: Any) -> None:
    with pytest.raises(NoAlertPresentException):
        _ = opened.switch_to.alert
    assert opened.execute_script("return window.pwned") is None
    assert opened.execute_script("return document.querySelectorAll('main img, main script').length") == 0
    # (Plotly draws heat maps as SVG images, which are no HTML images.)
    text = opened.execute_script("return document.querySelector('main').textContent")
    assert text.count("<script>window.pwned=1</script>") >= 3
    assert "head <b>&'\"" in opened.title
    assert "{{7*7}}" in text


def test_dark(opened: Any) -> None:
    def colours() -> tuple[str, str, str]:
        script = (
            "const c = (s, p) => getComputedStyle(document.querySelector(s))[p];"
            "return [c('body', 'backgroundColor'), c('h1', 'color'), c('#plot-descent .xtick text', 'fill')]"
        )
        return tuple(opened.execute_script(script))

    light = colours()
    set_scheme(opened, "dark")
    dark = colours()
    assert light == ("rgb(246, 247, 249)", "rgb(22, 32, 44)", "rgb(22, 32, 44)")
    assert dark == ("rgb(15, 20, 26)", "rgb(232, 237, 243)", "rgb(232, 237, 243)")


@pytest.mark.parametrize("width", [320, 820, 1600])
def test_nothing_is_wider_than_the_window(browser: Any, page: Path, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    open_page(browser, page)
    beyond = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('svg') &&"
        "e.getBoundingClientRect().right > arguments[0] + 1).map(e => e.outerHTML.slice(0, 200))",
        width,
    )
    assert beyond == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    plots = "return [...document.querySelectorAll('.plot')].map(p => [p.clientWidth, p.clientHeight,"
    sizes = browser.execute_script(plots + " p.querySelector('.main-svg').clientWidth, p._fullLayout.height])")
    assert len(sizes) == 6
    for outer, tall, inner, height in sizes:
        assert inner <= outer
        assert 100 < height <= tall


def test_it_prints(opened: Any) -> None:
    before = opened.execute_script("return document.getElementById('plot-residual').clientWidth")
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    raw = base64.b64decode(printed["data"])
    assert raw.startswith(b"%PDF")
    until(opened, f"return document.getElementById('plot-residual')._fullLayout.width === {before}")
    assert opened.execute_script("return document.querySelectorAll('details[open]').length") == 0
