"""The web page in a real browser: hide, download, recover, and what goes wrong on the way."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import CHROMIUM, requires_chromium

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("fcntl", reason="the service is for POSIX systems")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.support.select import Select  # noqa: E402

import vidstega  # noqa: E402
from vidstega.lab.users import NO_RATES, Server, serving  # noqa: E402
from vidstega.service.intake import methods  # noqa: E402

DRIVER = shutil.which("chromedriver")
pytestmark = [
    requires_chromium,
    pytest.mark.skipif(DRIVER is None, reason="no chromedriver is installed"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--window-size=900,1100",
]
MESSAGE = "Meet me at noon\nby the <b>old</b> clock. äöü 🕛"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("page") / "data"
    with serving(data, "--memory-budget", "2G", *NO_RATES) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, server: Server) -> Page:
    browser.get(server.url)
    return Page(browser)


class Page:
    """The page as a person sees it."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def __getitem__(self, id: str) -> Any:
        return self.browser.find_element("id", id)

    def submit(self, form: str) -> None:
        self[form].find_element("css selector", "button[type=submit]").click()

    def title(self, words: str, seconds: float = 30) -> None:
        until(lambda: self["title"].text, lambda text: words in text, seconds)

    def hide(self, video: Path, key: str, message: str = "", file: Path | None = None) -> None:
        self["hide-video"].send_keys(str(video))
        if file is not None:
            self["payload"].send_keys(str(file))
        else:  # chromedriver types no characters beyond the BMP
            self.browser.execute_script("arguments[0].value = arguments[1]", self["message"], message)
        self["hide-key"].send_keys(key)
        self.submit("hide")

    def download(self) -> Path:
        """Click the link, as a person would."""
        before = set(self.browser.downloads.iterdir())
        self["download"].click()

        def fresh() -> list[Path]:
            new = set(self.browser.downloads.iterdir()) - before
            return [p for p in new if p.suffix not in (".crdownload", ".tmp") and not p.name.startswith(".")]

        path: Path = until(fresh, bool)[0]
        return path


def until(get: Callable[[], Any], holds: Callable[[Any], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not holds(got := get()):
        assert time.monotonic() < deadline, got
        time.sleep(0.05)
    return got


def test_hide_download_recover(page: Page, cover: Path) -> None:
    page.hide(cover, "correct horse", MESSAGE)
    page.title("Your message is hidden")
    assert "verified by reading it back" in page["detail"].text
    assert re.search(r"Method: \w+, patch \(", page["detail"].text)
    stego = page.download()
    assert stego.suffix == ".mp4" and vidstega.extract(stego, key="correct horse") == MESSAGE.encode()

    page["tab-recover"].click()
    assert not page["hide"].is_displayed() and page["recover"].is_displayed()
    page["recover-video"].send_keys(str(stego))
    page["recover-key"].send_keys("wrong")
    page.submit("recover")
    page.title("That did not work")
    assert "No payload can be read with this key" in page["detail"].text

    page["recover-key"].clear()
    page["recover-key"].send_keys("correct horse")
    page.submit("recover")
    page.title("The message")
    until(lambda: page["text"].is_displayed(), bool)
    assert page["text"].text == MESSAGE
    assert page.download().read_bytes() == MESSAGE.encode()

    page["forget"].click()
    page.title("Deleted")
    assert not page["text"].is_displayed()


def test_a_file_and_the_progress(page: Page, covers: Path, tmp_path: Path, server: Server) -> None:
    from vidstega.lab.covers import make_cover

    secret, cover = tmp_path / "secret.bin", tmp_path / "cover.mp4"
    secret.write_bytes(bytes(range(256)) * 400)
    make_cover(cover, width=1280, height=720, frames=60, preset="ultrafast")
    page.browser.execute_script(
        "window.seen = []; const title = document.getElementById('title');"
        "new MutationObserver(() => seen.push(title.textContent))"
        ".observe(document.getElementById('work'), {subtree: true, childList: true})"
    )
    page.hide(cover, "k", file=secret)
    page.title("Your message is hidden")
    seen = page.browser.execute_script("return window.seen")
    assert {"Uploading", "Looking into the video", "Hiding the message"} <= set(seen)
    assert vidstega.extract(page.download(), key="k") == secret.read_bytes()


def test_what_is_missing_is_said_at_once(page: Page, cover: Path) -> None:
    page.submit("hide")
    assert page["detail"].text == "Choose a video first."
    page.hide(cover, "", "x")
    assert page["detail"].text == "Give a key."


def test_an_empty_video_is_said_to_be_empty(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    page.hide(tmp_path / "empty.mp4", "k", "x")
    assert page["detail"].text == "This video is empty, 0 bytes."


def test_methods_are_the_server_s_and_auto_is_chosen(page: Page, cover: Path) -> None:
    options = until(lambda: page["method"].text.split(), lambda names: len(names) > 1)
    assert options == methods() and page["method"].get_attribute("value") == "auto"
    hidden = page["recover-method"].find_elements("tag name", "option")
    assert [option.get_attribute("value") for option in hidden] == options
    assert not page["survive"].is_displayed()
    chosen = Select(page["method"])
    chosen.select_by_visible_text("robust")
    assert page["survive"].get_attribute("value") == "480p" and page["survive"].is_displayed()
    chosen.select_by_visible_text("lsb")
    page.hide(cover, "k", "x")
    page.title("Your message is hidden")
    assert "Method: lsb, splice (" in page["detail"].text


def test_a_file_takes_the_place_of_the_message_until_it_is_removed(page: Page, cover: Path) -> None:
    page["payload"].send_keys(str(cover))
    assert not page["message"].is_enabled() and page["no-payload"].is_displayed()
    page["no-payload"].click()
    assert page["message"].is_enabled() and not page["no-payload"].is_displayed()
    assert page["payload"].get_attribute("value") == ""


def test_a_file_that_is_no_video(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    page.hide(tmp_path / "notes.txt", "k", "x")
    page.title("That did not work")
    assert "cannot be read as a video" in page["detail"].text
    page.submit("hide")  # the form can be sent again
    page.title("That did not work")


def test_keyboard_and_names(page: Page) -> None:
    """Every field has a name, tabs move with the arrow keys, and the console stays empty."""
    page["tab-hide"].send_keys("\ue014")  # right arrow
    assert page["tab-recover"].get_attribute("aria-selected") == "true"
    assert page["recover"].is_displayed()
    for field in page.browser.find_elements("css selector", "input, select, textarea, button, a, progress"):
        assert field.accessible_name or not field.is_displayed(), field.get_attribute("outerHTML")
    page["recover-key"].send_keys("typed")
    show = page["recover"].find_element("css selector", ".show")
    show.click()
    assert page["recover-key"].get_attribute("type") == "text"
    assert show.get_attribute("aria-pressed") == "true"
    errors = [one for one in page.browser.get_log("browser") if "422" not in one["message"]]
    assert errors == []
