"""What a job says of its errors: what is wrong with the video, and never where the server keeps it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("fcntl", reason="the service is for POSIX systems")

from vidstega.service.worker import without_paths

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
JOB = "Zk3-_qQ9Zk3-_qQ9Zk3-_qQ9Zk3-_qQ9"
"""As long and as odd as the ids of jobs are."""


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("{}/cover cannot be read as a video", "the video cannot be read as a video"),
        ("{}/cover: 3 of 9 frames decode.", "the video: 3 of 9 frames decode."),
        ("'{}/payload' has 7 bytes", "'the payload' has 7 bytes"),
        ("cannot write {}/stego-1.mp4: no space", "cannot write the server's disk: no space"),
        ("no space in {}; give less", "no space in the server's disk; give less"),
        ("{}/.vidstega-x1/part 3", "the server's disk 3"),
        ("see /usr/lib/x.so, (/etc/hosts) and '/opt/a b/c'", "see {d}, ({d}) and {d}"),
        (
            "splice/transcode at 25/1 fps, 1/2, tcp://host:1/x",
            "splice/transcode at 25/1 fps, 1/2, tcp://host:1/x",
        ),
    ],
)
@pytest.mark.parametrize("data", ["/srv/data", "/srv/my data", "/srv/it's (mine); yes: all/a.b"])
def test_no_path_of_the_server_is_told(text: str, plain: str, data: str) -> None:
    folder = Path(data, "jobs", JOB)
    told = without_paths(text.replace("{}", str(folder)), folder)
    assert told == plain.replace("{d}", "the server's disk")


@given(st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3))
def test_no_folder_s_name_is_told_whatever_it_is(names: list[str]) -> None:
    folder = Path("/", *names, "jobs", JOB)
    for told in (str, repr):
        text = (
            f"{told(str(folder / 'cover'))} is no video; {told(str(folder / 'out'))} and {told(str(folder))}"
        )
        bare = without_paths(text, folder)
        assert JOB not in bare and str(folder.parent) not in bare
        assert "the video" in bare and bare.count("the server's disk") == 2


def test_nor_that_of_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/var/my tmp")
    assert without_paths("/var/my tmp/x is full", Path("/srv/jobs/1")) == "the server's disk is full"
