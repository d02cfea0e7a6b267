"""A browser plays a spliced file through and shows every frame that was copied as it was."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CHROMIUM, requires_chromium

import vidstega
from vidstega import carriers
from vidstega.media.scan import scan as scan_file
from vidstega.seal import Key

PAGE = """<!doctype html><video id=cover muted></video><video id=stego muted></video><script>
const spots = SPOTS;
const pause = ms => new Promise(done => setTimeout(done, ms));
const watch = v => v.requestVideoFrameCallback((_, frame) => { v.shown = frame.mediaTime; watch(v); });
const shows = (v, t) => Math.abs(v.shown - Math.floor(t * 30) / 30) < 1 / 60;
const seek = (v, t) => new Promise(done => { v.onseeked = done; v.currentTime = t; });
const pixels = v => {
  const c = new OffscreenCanvas(v.videoWidth, v.videoHeight), x = c.getContext("2d");
  x.drawImage(v, 0, 0); return x.getImageData(0, 0, c.width, c.height).data;
};
const played = v => new Promise((done, fail) => {
  v.onended = () => done(v.getVideoPlaybackQuality());
  v.onerror = () => fail(v.error.message); v.play();
});
const loaded = (v, src) => new Promise((done, fail) => {
  v.oncanplaythrough = done; v.onerror = () => fail(v.error.message); v.src = src; });
(async () => {
  const cover = document.getElementById("cover"), stego = document.getElementById("stego");
  await Promise.all([loaded(cover, "/cover.mp4"), loaded(stego, "/stego.mp4")]);
  const differs = [], late = [];
  watch(cover); watch(stego);
  for (const t of spots) {
    await Promise.all([seek(cover, t), seek(stego, t)]);
    let turn = 0;  // on a busy machine painting lags behind `seeked`
    while (turn++ < 50 && !(shows(cover, t) && shows(stego, t))) await pause(100);
    if (turn > 50) late.push(t);
    let most = 256;
    for (let turn = 0; turn < 5 && most > 4; turn++) {
      if (turn) await pause(300);
      const a = pixels(cover), b = pixels(stego);
      most = 0; for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
    }
    differs.push(most);
  }
  let before = stego.getVideoPlaybackQuality(), total = 0, dropped = 60;
  for (let turn = 0; turn < 5 && dropped > 5; turn++) {  // a busy machine drops frames of any video
    await seek(stego, 0);
    stego.playbackRate = 2 ** -turn;
    const after = await played(stego);
    total = after.totalVideoFrames - before.totalVideoFrames;
    dropped = after.droppedVideoFrames - before.droppedVideoFrames;
    before = after;
  }
  return {differs, late, total, dropped,
          bright: pixels(cover).filter((_, i) => i % 4 != 3).reduce((a, b) => Math.max(a, b))};
})().catch(e => ({error: String(e)})).then(r => fetch("/result", {method: "POST", body: JSON.stringify(r)}));
</script>"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """The folder and the page over HTTP on loopback, and what the page sends back."""
    results: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = tmp_path / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            data = file.read_bytes()
            first, last = 0, len(data) - 1
            if wanted := self.headers.get("Range"):
                start, _, end = wanted.removeprefix("bytes=").partition("-")
                first, last = int(start), int(end or last)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Type", "video/mp4" if file.suffix == ".mp4" else "text/html")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(last + 1 - first))
            self.end_headers()
            self.wfile.write(data[first : last + 1])

        def do_POST(self) -> None:
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/page.html", results
    server.shutdown()
    server.server_close()


@requires_chromium
@pytest.mark.parametrize("size", [7_000, 16_000])  # one picture stands in, several end a group
def test_chromium_plays_seeks_and_shows_the_same(
    cover: Path, tmp_path: Path, served: tuple[str, queue.Queue[dict[str, Any]]], size: int
) -> None:
    url, results = served
    (tmp_path / "cover.mp4").write_bytes(cover.read_bytes())
    result = vidstega.embed(cover, tmp_path / "stego.mp4", bytes(size), key="k", method="lsb", compress=False)
    assert result.mode == "splice" and (result.carrying == 1) == (size == 7_000)
    scan = scan_file(tmp_path / "stego.mp4")
    (stretch,) = carriers.get("lsb").locate(scan, Key("k")).stretches
    run = np.searchsorted(scan.pts, stretch.span.pts)
    spots = [0, run[0] - 1, run[0], run[-1], (run[-1] + 1) % 60, run[0], 5, 59]
    times = [(int(index) + 0.5) / 30 for index in spots]
    (tmp_path / "page.html").write_text(PAGE.replace("SPOTS", json.dumps(times)))
    assert CHROMIUM is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --mute-audio "
        "--disable-background-networking --disable-component-update "
        "--autoplay-policy=no-user-gesture-required"
    )
    browser = subprocess.Popen(
        [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        seen = results.get(timeout=240)
    finally:
        browser.kill()
        browser.wait()
    assert "error" not in seen, seen
    assert not seen["late"], "frames that were sought and not shown"
    assert seen["bright"] > 50  # there is a picture to compare
    for index, most in zip(spots, seen["differs"], strict=True):
        assert most <= (4 if index in run else 0), f"frame {index} differs by {most}"
    assert max(seen["differs"]) > 0  # and the run was really looked at
    assert seen["total"] >= 55 and seen["dropped"] <= 5
