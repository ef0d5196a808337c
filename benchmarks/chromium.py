"""Chromium without a window, led by Selenium: what is on the page, and what it asked for."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

INSTALL = "make chromium"
WIDE = (1280, 900)
PHONE = (360, 740)
PATIENCE_S = 120
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--force-color-profile=srgb",
    # A camera that shows a moving picture, and nobody who has to allow it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


class BrowserMissingError(Exception):
    """No browser here; the message says what installs one."""


def program(*names: str) -> str:
    """The first of these programs that is installed. Raises BrowserMissingError."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    raise BrowserMissingError(f"There is no {names[0]} on this machine: run `{INSTALL}`.")


@contextmanager
def browsing() -> Iterator["Browser"]:
    """A browser with nothing remembered. Raises BrowserMissingError."""
    options = ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # With its path given, Selenium looks for no driver elsewhere.
    driver = Chrome(options, ChromeService(program("chromedriver")))
    driver.set_script_timeout(PATIENCE_S)
    driver.set_page_load_timeout(PATIENCE_S)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """One tab."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.is_phone, self.height_px = False, 0

    def tell(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def size(self, size: tuple[int, int]) -> None:
        """The window in CSS pixels; narrow ones are a phone with touch."""
        self.is_phone, self.height_px = size[0] < 600, size[1]
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=self.is_phone,
        )
        self.tell("Emulation.setTouchEmulationEnabled", enabled=self.is_phone, maxTouchPoints=1)

    def scheme(self, scheme: str) -> None:
        """light or dark, as the system would say."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.tell("Emulation.setEmulatedMedia", features=[feature])

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call, whoever asked."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def errors(self) -> list[str]:
        """What the console has complained of since the last call."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
