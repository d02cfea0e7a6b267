"""The explorer, driven in a real Chromium in JupyterLab as a reader would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CHROMIUM, requires_chromium

pytest.importorskip("jupyterlab")
pytest.importorskip("selenium")
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

EQUAL = "the message was read back and is equal"
FRAME = 1
"""The slider of frames, after that of message sizes."""
RUN_CELL = """
const done = arguments[0], context = jupyterapp.shell.currentWidget.sessionContext;
context.ready.then(() => context.session.kernel.info)
  .then(() => jupyterapp.commands.execute("notebook:run-cell-and-select-next"))
  .then(() => done("ran"), error => done(String(error)));
"""
"""By the command and not by its keys: what is pressed before the kernel answers is lost."""
DRIVER = shutil.which("chromedriver")
NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "00_explorer.ipynb"

pytestmark = [
    requires_chromium,
    pytest.mark.skipif(DRIVER is None, reason="no chromedriver is installed"),
    pytest.mark.timeout(300),
]


def until(get: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    """What `get` gives once that is true."""
    end, last = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if found := get():
                return found
        except WebDriverException as error:
            last = str(error)
        time.sleep(0.3)
    raise AssertionError(f"{what}: not within {seconds} s {last}")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab over a folder with the notebook, its outputs cleared."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    (work / NOTEBOOK.name).write_text(json.dumps(notebook), encoding="utf-8")
    flags = ["--no-browser", "--ServerApp.port=0", "--allow-root", "--IdentityProvider.token=t"]
    flags.append("--LabApp.expose_app_in_browser=True")
    env = os.environ | {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    command = [sys.executable, "-m", "jupyterlab", *flags, f"--ServerApp.root_dir={work}"]
    with (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=work, stdout=log, stderr=log, start_new_session=True)
    try:
        yield until(lambda: _address(home / "runtime"), "JupyterLab started")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _address(runtime: Path) -> str:
    for path in runtime.glob("jpserver-*.json"):
        try:
            url = json.loads(path.read_text())["url"]
            urllib.request.urlopen(f"{url}api?token=t", timeout=5).close()
        except (OSError, ValueError):
            continue
        return str(url)
    return ""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = ("headless=new", "no-sandbox", "disable-gpu", "window-size=1280,1700")
    for flag in (*flags, f"user-data-dir={tmp_path}/profile"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(90)
    try:
        yield driver
    finally:
        driver.quit()


def test_a_reader_chooses_hides_and_sees(lab: str, browser: Any) -> None:
    def text() -> str:
        return str(browser.find_element(By.TAG_NAME, "body").text)

    def width(image: Any) -> int:
        return int(browser.execute_script("return arguments[0].naturalWidth", image))

    def find(css: str) -> Any:
        return next((one for one in browser.find_elements(By.CSS_SELECTOR, css) if one.is_displayed()), None)

    def click(css: str) -> bool:
        if (one := find(css)) is None:
            return False
        one.click()
        return True

    browser.get(f"{lab}lab/tree/{NOTEBOOK.name}?token=t&reset")
    until(lambda: find(".jp-Notebook-ExecutionIndicator[data-status=idle]"), "the kernel is ready")
    until(lambda: click(".jp-Notebook .jp-Cell"), "the notebook is shown")
    for _ in range(5):  # up to the cell with the widgets
        assert browser.execute_async_script(RUN_CELL) == "ran"
    until(lambda: "Foretold:" in text() and "splice" in text(), "the cost is foretold")
    assert EQUAL not in text()
    until(lambda: click("button.jupyter-button.mod-primary"), "the button is pressed")
    until(lambda: EQUAL in text(), "the message was hidden and read back")
    images = until(lambda: browser.find_elements(By.CSS_SELECTOR, "img.widget-image"), "pictures are shown")
    assert len(images) == 2
    until(lambda: all(width(one) > 600 for one in images), "pictures are large")
    before = images[0].get_attribute("src")
    browser.find_elements(By.CSS_SELECTOR, ".noUi-handle")[FRAME].send_keys(Keys.ARROW_LEFT)
    until(lambda: images[0].get_attribute("src") != before, "another frame is shown")
    if folder := os.environ.get("VIDSTEGA_SCREENSHOTS"):
        browser.save_screenshot(f"{folder}/explorer.png")
