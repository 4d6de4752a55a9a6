"""Opens pages in a real browser: Debian's chromium, as `.ci/install-browser .browser` brings it."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parent.parent
AXE = ROOT / ".browser" / "node_modules" / "axe-core" / "axe.min.js"

_FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, and open nothing but our own pages
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # a container's is small
)
# Loading what the file does not hold would be an event of one of these.
_REQUESTS = ("Network.requestWillBeSent", "Network.webSocketCreated")
# What a browser and its driver may take on a machine that is busy.
_PATIENCE_S = 60


def why_no_browser() -> str | None:
    """Why pages can't be opened here; None if they can."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        return f"no {' and no '.join(missing)} here: .ci/install-browser brings them (as root)"
    return None


class Browser:
    """A browser with one page open."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(
        self, page: Path, *, width: int = 1280, height: int = 800, scheme: str = "light"
    ) -> None:
        """Open a page of the disk, as wide and in as light a scheme as said."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        self.errors()
        self.requests()
        self.driver.get(page.as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns; `arguments[0]` is the first one."""
        return self.driver.execute_script(script, *arguments)

    def errors(self) -> list[str]:
        """What the console was told since this was asked last: errors, refusals of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since this was asked last."""
        events = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        return [
            event["message"]["params"].get("request", event["message"]["params"])["url"]
            for event in events
            if event["message"]["method"] in _REQUESTS
        ]

    def violations(self) -> list[str]:
        """What axe-core finds serious or worse on the page that is open."""
        self.run(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run().then((found) => done(found.violations), (error) => done([String(error)]));"
        )
        return [
            f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def picture(self, format_: str = "png") -> bytes:
        """The page as an image, as much of it as the window shows."""
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": format_})
        return base64.b64decode(taken["data"])


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, to the end of the block."""
    with tempfile.TemporaryDirectory(prefix="leakscope-browser-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        try:
            driver.set_script_timeout(_PATIENCE_S)
            yield Browser(driver)
        finally:
            driver.quit()
