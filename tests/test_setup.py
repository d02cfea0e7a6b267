"""The set-up: a lock that fits pyproject.toml on every supported Python, and a stamp that notices changes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

requirements = pytest.importorskip("packaging.requirements")

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {"linux": "posix", "darwin": "posix", "win32": "nt"}


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "scripts" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked() -> list[Any]:
    lines = (line.partition("#")[0].strip() for line in LOCK.read_text().splitlines())
    return [requirements.Requirement(line) for line in lines if line]


def pins(python: str, system: str) -> dict[str, str]:
    """Name and version of all that the lock installs there."""
    where = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": system,
        "os_name": SYSTEMS[system],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    here = [pin for pin in locked() if pin.marker is None or pin.marker.evaluate(where)]
    found = {pin.name: next(iter(pin.specifier)).version for pin in here}
    assert len(found) == len(here), "a package is pinned twice"
    return found


def asked() -> list[Any]:
    """What pyproject.toml asks for: the package, all its extras, what builds it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    lists = [project["project"]["dependencies"], project["build-system"]["requires"], *extras]
    return [requirements.Requirement(text) for texts in lists for text in texts]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_lock_holds_all_that_is_asked_for(python: str, system: str) -> None:
    there = pins(python, system)
    for wanted in asked():
        version = there.get(wanted.name, "nothing")
        assert version in wanted.specifier, f"{wanted} is {version} in the lock; run scripts/lock.sh"


def test_the_lock_pins_exactly_and_names_no_place() -> None:
    for pin in locked():
        assert pin.url is None and [one.operator for one in pin.specifier] == ["=="], str(pin)
    assert not re.search(r"://|^-|file:|/(home|root|opt|tmp|work|Users)/", LOCK.read_text(), re.MULTILINE)


def test_installs_once_until_the_lock_or_the_project_changes(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    files = (tmp_path / "requirements.lock", tmp_path / "pyproject.toml")
    for file in files:
        file.write_text("as it was")
    monkeypatch.setattr(install, "DECIDES", files)
    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for changed in (None, *files):
        if changed is not None:
            changed.write_text("as it is now")
        assert (install.main(), len(ran)) == (0, 2)
        assert (install.main(), len(ran)) == (0, 2)
        ran.clear()
    assert len(list(tmp_path.glob("*.stamp"))) == 1


def test_an_installation_that_fails_is_one_line_and_is_tried_again(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install, "PIP", (sys.executable, "-c", "raise SystemExit(1)"))
    for _ in range(2):
        assert install.main() == 1
        assert "vidstega: error: pip could not install the packages" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
