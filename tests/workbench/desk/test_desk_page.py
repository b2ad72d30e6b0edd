"""The desk in a real browser: it lists, shows, compares with one zoom, plays slices, checks, and asks nobody else."""

from __future__ import annotations

import base64
import io
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from chromium import requested, set_scheme, until
from desk_client import Client
from PIL import Image as Picture

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

SHOWN = "return document.querySelectorAll('#panes .pane').length === {panes} && !viewer.hidden"
VIEW = "return [deskPanes.view.x, deskPanes.view.y, deskPanes.view.zoom]"


@pytest.fixture
def page(browser: Any, desk: Client) -> Any:
    """The page, listed, in a wide light window, with empty logs."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    set_scheme(browser, "light")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(desk.server.guard.url)
    until(browser, "return document.documentElement.dataset.ready === 'yes'")
    return browser


def click(page: Any, selector: str) -> None:
    page.find_element(By.CSS_SELECTOR, selector).click()


def pick(page: Any, desk: Client, name: str, what: str = "name", panes: int = 1) -> None:
    click(page, f"li[data-number='{desk.numbers[name]}'] .{what}")
    until(page, SHOWN.format(panes=panes))
    until(page, "return document.querySelectorAll('#windows button').length > 0")


def pixels(page: Any, pane: str) -> np.ndarray:
    """Of the canvas, ``[rows, columns, 3]``."""
    url = page.execute_script("return document.querySelector(arguments[0]).toDataURL()", f"#pane-{pane} canvas")
    picture = Picture.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.asarray(picture.convert("RGB"), dtype=float)


def at_middle(picture: np.ndarray) -> np.ndarray:
    return picture[picture.shape[0] // 2, picture.shape[1] // 2]


def test_it_lists_compares_plays_checks_and_asks_nobody_else(page: Any, desk: Client) -> None:
    # The list: everything once, hostile names as text, what is not shown with its reason.
    names = [one.text for one in page.find_elements(By.CSS_SELECTOR, "#list .file")]
    shown = {name.rpartition("/")[2] for name in desk.numbers} - {"link.npy", "pipe.npy", "notes.txt"}
    assert sorted(names) == sorted(shown)
    assert page.execute_script("return window.pwned") is None
    assert page.execute_script("return document.querySelectorAll('#list img, #facts img').length") == 0
    assert page.find_element(By.CSS_SELECTOR, "#others summary").text == "Not shown: 3"
    page.find_element(By.ID, "filter").send_keys("more tv")
    assert [one.text for one in page.find_elements(By.CSS_SELECTOR, "#list li:not([hidden]) .file")] == ["tv.npy"]
    page.find_element(By.ID, "filter").send_keys(Keys.BACKSPACE * 7)

    # One image, with sides and windows; then two, with the difference.
    pick(page, desk, "head.npy")
    assert [one.text for one in page.find_elements(By.CSS_SELECTOR, "#pane-first .side")] == ["R", "L", "A", "P"]
    assert page.find_element(By.CSS_SELECTOR, "#windows [aria-pressed=true]").text == "Soft tissue"
    before = pixels(page, "first")
    click(page, "#windows button:last-child")
    assert np.abs(pixels(page, "first") - before).mean() > 2
    pick(page, desk, "more/tv.npy", "beside", panes=3)
    first, second = desk.plane("head.npy"), desk.plane("more/tv.npy")
    middle = (16, 16)
    canvas = page.find_element(By.CSS_SELECTOR, "#pane-second canvas")
    ActionChains(page).move_to_element_with_offset(canvas, 2, 2).perform()
    said = page.find_element(By.ID, "pointer").text.replace("\N{MINUS SIGN}", "-")
    assert said.startswith("row 16, column 16: first ")
    wanted = [float(1000 * (image[middle] - 0.02) / 0.02) for image in (first, second)]
    found = [float(part.split()[-2]) for part in said.split(" · ")]
    assert found == pytest.approx([*wanted, wanted[1] - wanted[0]], rel=2e-3, abs=0.1)
    red, _, blue = at_middle(pixels(page, "difference"))
    assert (red > blue) == (wanted[1] > wanted[0])

    # An array that says no unit is taken to be in that of the other, and the page says so.
    pick(page, desk, "bare.npy", "beside", panes=3)
    until(page, "return document.getElementById('between').textContent.includes('at most 50 HU')")
    said = page.find_element(By.ID, "between").text
    assert "bare.npy does not say its unit: its values are taken to be in 1/mm" in said
    pick(page, desk, "more/tv.npy", "beside", panes=3)
    until(page, "return !document.getElementById('between').textContent.includes('does not say its unit')")
    canvas = page.find_element(By.CSS_SELECTOR, "#pane-second canvas")

    # One zoom for all three: by wheel, keys and buttons.
    wide = pixels(page, "difference")
    canvas.send_keys("+")
    zoomed = page.execute_script(VIEW)
    assert zoomed == pytest.approx([0.5, 0.5, 1.5])
    assert np.abs(pixels(page, "difference") - wide).mean() > 1
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert page.execute_script(VIEW)[0] > 0.5
    ActionChains(page).scroll_from_origin(_origin(page, "#pane-first canvas"), 0, -100).perform()
    until(page, "return deskPanes.view.zoom > 1.5")
    click(page, "#whole")
    assert page.execute_script(VIEW) == [0.5, 0.5, 1]
    np.testing.assert_array_equal(pixels(page, "difference"), wide)

    # What has no common unit or shape has no third picture, and says why.
    pick(page, desk, "v.zarr", "beside", panes=2)
    until(page, "return document.getElementById('between').textContent.includes('are not of one shape')")

    # Slices play, one after the other, and stop.
    pick(page, desk, "v.zarr")
    start = page.execute_script("return deskLook.at()")
    click(page, "#play")
    until(page, f"return deskLook.at() === {(start + 2) % 4}")
    click(page, "#play")
    assert page.find_element(By.ID, "play").text == "Play"
    page.execute_script("const s = document.getElementById('slice'); s.value = 1; s.dispatchEvent(new Event('input'))")
    until(page, "return document.getElementById('slice-said').textContent.startsWith('1 of 4')")

    # A check in the server; a scan's sinogram; a broken file is one line.
    pick(page, desk, "head.npy")
    click(page, ".head .check")
    until(page, "return document.querySelector('.head .tag').textContent.includes('checked: certified')")
    click(page, f"li[data-number='{desk.numbers['scans/stack.npy']}'] .name")
    until(page, "return document.querySelector('#sinogram img').naturalWidth > 0")
    # The browser notes that files were refused, and nothing else: no script failed, no policy was broken.
    said = [one["message"] for one in page.get_log("browser") if one["level"] == "SEVERE"]
    assert [line for line in said if "status of 422" not in line] == []
    broken = f"li[data-number='{desk.numbers['broken.npy']}']"
    until(page, f'return document.querySelector("{broken} .why")?.textContent.includes("npy format version")')
    click(page, f"{broken} .name")
    until(page, "return document.getElementById('trouble').textContent.includes('npy format version')")
    assert not page.find_element(By.ID, "sinogram").is_displayed()

    # All of it from this one server.
    urls = [url for url in requested(page) if not url.startswith("data:")]
    assert len(urls) > 20
    assert {urlsplit(url).netloc for url in urls} == {f"127.0.0.1:{desk.server.guard.port}"}


def test_a_report_opens_apart_and_cannot_reach_the_desk(page: Any, desk: Client) -> None:
    pick(page, desk, "head.npy")
    home = page.current_window_handle
    click(page, ".head .action")
    until_windows(page, 2)
    page.switch_to.window(next(one for one in page.window_handles if one != home))
    try:
        until(page, "return document.documentElement.dataset.ready === 'yes'")
        assert page.execute_script("return window.origin") == "null"
        assert page.execute_script("return window.opener") is None
        assert desk.token not in page.page_source
        script = "return fetch(arguments[0]).then((r) => r.text(), (why) => 'refused')"
        assert page.execute_script(script, f"{desk.server.guard.url}list") == "refused"
    finally:
        page.close()
        page.switch_to.window(home)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(page: Any, desk: Client, scheme: str) -> None:
    set_scheme(page, scheme)
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    pick(page, desk, "head.npy")
    pick(page, desk, "more/tv.npy", "beside", panes=3)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 20, 26)"}[scheme]


def _origin(page: Any, selector: str) -> Any:
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    return ScrollOrigin.from_element(page.find_element(By.CSS_SELECTOR, selector))


def until_windows(page: Any, count: int) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 30, poll_frequency=0.05).until(lambda driver: len(driver.window_handles) == count)
