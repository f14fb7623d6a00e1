"""A page in a browser: Debian's chromium, driven by Selenium."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]


def start() -> Any:
    """Return a driver. The test is skipped where Selenium, chromium or its driver is missing."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not there")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


class Browser:
    """What tests ask of a page that is shown."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder = driver, folder

    def open(self, html: str, width: int = 1280, theme: str = "light") -> None:
        """Show a page, `width` pixels wide, on a system with a light or a dark theme."""
        path = self.folder / "page.html"
        path.write_text(html, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        # Without a window there is no focus, and elements that get it would not be told.
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        for log in ("browser", "performance"):
            self.driver.get_log(log)  # those of pages before
        self.driver.get(path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)  # type: ignore[no-any-return]

    def text(self, selector: str) -> str:
        """The text of an element, also of one that is shown to listeners alone."""
        found: str = self.run("return document.querySelector(arguments[0]).textContent", selector)
        return found

    def press(self, *keys: str) -> None:
        """Press keys where the focus is: 'ArrowRight', 'End', ' '."""
        from selenium.webdriver.common.keys import Keys

        codes = {
            "ArrowRight": Keys.ARROW_RIGHT,
            "ArrowLeft": Keys.ARROW_LEFT,
            "ArrowUp": Keys.ARROW_UP,
            "ArrowDown": Keys.ARROW_DOWN,
            "Enter": Keys.ENTER,
            "Tab": Keys.TAB,
            "Home": Keys.HOME,
            "End": Keys.END,
        }
        for key in keys:
            self.driver.switch_to.active_element.send_keys(codes.get(key, key))

    def numbers(self, name: str) -> dict[str, str]:
        """What the node of this name shows: data and grad."""
        script = """
            for (const node of document.querySelectorAll('.node')) {
              if (node.querySelector('.title').textContent !== arguments[0]) continue;
              const text = (key) => node.querySelector(`.value.${key}`).textContent;
              return {data: text('data'), grad: text('grad')};
            }"""
        found: dict[str, str] = self.run(script, name)
        return found

    def errors(self) -> list[str]:
        """What the page has written to the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that the page has asked for, its own the first one."""
        entries = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        asked = [e["params"] for e in entries if e["method"] == "Network.requestWillBeSent"]
        return [a["request"]["url"] for a in asked if not a["request"]["url"].startswith("data:")]


def shown(number: float) -> str:
    """A number as pages show it."""
    if number != 0.0 and not 1e-3 <= abs(number) < 1e6:
        mantissa, exponent = f"{number:.2e}".split("e")
        return f"{mantissa}e{int(exponent):+d}"
    is_short = abs(number) >= 1e3 or abs(number * 100 - round(number * 100)) < 1e-9
    return f"{number:.2f}" if is_short else f"{number:.4f}"
