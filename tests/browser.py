"""A headless Chromium, where one is installed: apt-get install chromium chromium-driver."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

FIND = "return [...document.querySelectorAll(arguments[0])]"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driving = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield driving
    driving.quit()


def texts(page, selector):
    return page.execute_script(f"{FIND}.map(one => one.textContent.trim())", selector)


def click(page, selector):
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def visible(page, selector):
    shown = f"{FIND}.filter(one => getComputedStyle(one).display !== 'none').length"
    return page.execute_script(shown, selector)


def scroll_through(page):
    page.execute_async_script(
        "const done = arguments[0]; document.querySelectorAll('.case').forEach(one => one.drawCase());"
        "requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def press(page, selector, key):
    page.execute_script(
        "document.querySelector(arguments[0]).dispatchEvent(new KeyboardEvent('keydown', {key: arguments[1]}))",
        selector,
        key,
    )


def complaints(page):
    return [line for line in page.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


def width_beyond_the_screen(page, width):
    """In px, of a window of this width."""
    page.set_window_size(width, 900)
    overflow = page.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.set_window_size(1280, 1000)
    return overflow
