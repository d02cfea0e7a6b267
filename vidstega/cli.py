"""The command line: embed, extract, capacity, probe, verify; stress, report and serve come with extras.

Exit codes: 0; 1 for an error, with one line on stderr; 2 for a command line that makes no sense; 130 after
Ctrl-C and 128 + n after another signal n, when everything unfinished is removed as after an error.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import importlib
import json
import math
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, TextIO

import vidstega
from vidstega import carriers
from vidstega.carriers import AUTO
from vidstega.carriers.base import Spread, check_spread
from vidstega.errors import InputError, ParameterError, VidstegaError

_KEY_VARIABLE = "VIDSTEGA_KEY"
_MOST_KEY_BYTES = 1 << 20
_PLUG_INS = ("vidstega.lab.cli", "vidstega.service.cli")
_EXTRAS = {"stress": "notebooks", "report": "notebooks", "serve": "service"}
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_EPILOG = f"""\
the key: --key-file FILE (without one trailing newline), or the environment variable {_KEY_VARIABLE}, or asked
for on the terminal. exit codes: 0; 1 for an error; 2 for a wrong command line; 130 after Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a command line that cannot be parsed raises SystemExit(2)."""
    with _signals_unwind(), _plain_warnings():
        try:
            args = _parser().parse_args(argv)
            code: int = args.run(args)
            sys.stdout.flush()
        except ParameterError as error:
            return _fail(error, 2)
        except VidstegaError as error:
            return _fail(error)
        except ModuleNotFoundError as error:
            if args.command not in _EXTRAS or str(error.name).startswith("vidstega"):
                raise
            extra = f"pip install 'vidstega[{_EXTRAS[args.command]}]'"
            return _fail(f"vidstega {args.command} needs the extra: {extra} ({error.name} is missing)")
        except KeyboardInterrupt:
            return _fail("interrupted", 128 + signal.SIGINT)
        except BrokenPipeError:
            _discard_stdout()
            return 141  # 128 + SIGPIPE, what a shell reports for programs that do not catch it
        except MemoryError:
            return _fail("out of memory; use fewer --jobs or a smaller video")
        except OSError as error:
            _discard_stdout()
            reason = error.strerror or error
            return _fail(f"{error.filename}: {reason}" if error.filename else reason)
    return code


# -- commands -------------------------------------------------------------------------------------------


def _embed(args: argparse.Namespace) -> int:
    payload = args.payload if args.message is None else os.fsencode(args.message)
    result = vidstega.embed(
        args.cover, args.stego, _stdin() if payload == "-" else payload, key=_key(args, twice=True),
        method=args.method, spread=args.spread, compress=args.compress, n_jobs=args.jobs,
        verify=args.verify, overwrite=args.overwrite, progress=_progress(args),
    )  # fmt: skip
    _show(args, result, repr(dataclasses.replace(result, notes=())))  # notes came as warnings
    return 0


def _extract(args: argparse.Namespace) -> int:
    how: dict[str, Any] = {"n_jobs": args.jobs, "deep": args.deep, "progress": _progress(args)}
    if args.out == "-":
        if args.json:
            raise ParameterError("--json and --out - would both go to standard output; give --out a file")
        sys.stdout.buffer.write(vidstega.extract(args.stego, key=_key(args), **how))
        return 0
    result = vidstega.extract(args.stego, key=_key(args), out=args.out, overwrite=args.overwrite, **how)
    _show(args, result, f"{result.out}: {result.payload_bytes:,} bytes\n  digest    {result.digest}")
    return 0


def _capacity(args: argparse.Namespace) -> int:
    result = vidstega.capacity(args.cover)
    _show(args, result, repr(result))
    return 0


def _probe(args: argparse.Namespace) -> int:
    result = vidstega.probe(args.cover)
    _show(args, result, repr(result))
    return 0


def _verify(args: argparse.Namespace) -> int:
    result = vidstega.verify(
        args.cover, args.stego, key=_key(args), full=args.full, n_jobs=args.jobs, progress=_progress(args)
    )
    lines = [
        f"{args.stego}: as it should be ({result.mode})",
        f"  payload   {result.payload_bytes:,} bytes",
        f"  frames    {result.carrying:,} of {result.frames:,} carry",
        f"  digest    {result.digest}",
        f"  compared  {', '.join(result.compared)}",
        *(f"  note      {note}" for note in result.notes),
    ]
    _show(args, result, "\n".join(lines))
    return 0


def _show(args: argparse.Namespace, result: Any, text: str) -> None:
    """Print a result record: for people, or as JSON."""
    if args.json:
        print(json.dumps(_plain(dataclasses.asdict(result)), indent=2, allow_nan=False))
    elif not args.quiet:
        print(text)


def _plain(value: Any) -> Any:
    """`value` in what JSON knows: paths and fractions as text, a number that is none as null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path | Fraction) else value


def _progress(args: argparse.Namespace) -> bool | None:
    return False if args.quiet else None


def _stdin() -> BinaryIO:
    return sys.stdin.buffer


# -- the key --------------------------------------------------------------------------------------------


def _key(args: argparse.Namespace, *, twice: bool = False) -> str | bytes:
    """The key, from where the user keeps it; never from the command line, which all users can read."""
    if args.key_file is not None:
        return _key_from_file(args.key_file)
    if (key := os.environ.get(_KEY_VARIABLE)) is not None:
        return _bytes_if_not_text(key)
    if not _has_terminal():
        raise ParameterError(
            f"no key: give --key-file FILE, or set {_KEY_VARIABLE}, or run on a terminal to be asked for it"
        )
    key = _ask("Key: ")
    if twice and key != _ask("Key again: "):
        raise ParameterError("the two keys differ; nothing was done")
    return key


def _key_from_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            key = file.read(_MOST_KEY_BYTES + 1)
    except OSError as error:
        raise InputError(f"the key file {path} cannot be read: {error.strerror}") from None
    if len(key) > _MOST_KEY_BYTES:
        raise InputError(
            f"the key file {path} has more than {_MOST_KEY_BYTES:,} bytes; is it the right file?"
        )
    return key.removesuffix(b"\n").removesuffix(b"\r") if key.endswith(b"\r\n") else key.removesuffix(b"\n")


def _bytes_if_not_text(key: str) -> str | bytes:
    """A variable that is not valid Unicode is taken byte by byte, as a key file would be."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return os.fsencode(key)
    return key


def _has_terminal() -> bool:
    if sys.platform == "win32":
        return sys.stdin is not None and sys.stdin.isatty()
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _ask(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise ParameterError("no key was typed") from None


# -- the parser -----------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    """All commands; those of extras are there if their modules are."""
    parser = argparse.ArgumentParser(
        prog="vidstega", description=vidstega.__doc__, epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"vidstega {vidstega.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_embed(commands)
    _add_extract(commands)
    _add_capacity(commands)
    _add_probe(commands)
    _add_verify(commands)
    for name in _PLUG_INS:
        _plug_in(name, commands)
    return parser


def _plug_in(name: str, commands: Any) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.rpartition(".")[0]):
            raise
    else:
        module.add_parsers(commands)


def _add_embed(commands: Any) -> None:
    parser = _command(commands, "embed", _embed, "hide a payload in a video", key=True)
    parser.add_argument("cover", metavar="COVER", help="video to hide it in")
    parser.add_argument("stego", metavar="STEGO", help="video to write; its extension says the container")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--payload", metavar="FILE", help="file to hide; - reads standard input")
    what.add_argument("--message", metavar="TEXT", help="text to hide; other users may see it in `ps`")
    able = f"{AUTO} (default: the quietest that holds it), or one of: {', '.join(carriers.names())}"
    parser.add_argument("--method", metavar="NAME", default=AUTO, help=able)
    parser.add_argument(
        "--spread", type=_spread, default="fewest", metavar="fewest|all|ALPHA",
        help="as few frames as it needs (default), all frames, or so many bits per luma sample at the most",
    )  # fmt: skip
    parser.add_argument("--no-compress", dest="compress", action="store_false", help="seal it as it is")
    checks = parser.add_mutually_exclusive_group()
    for flag, value, text in (
        ("--verify", True, "read the result back before it appears (default)"),
        ("--no-verify", False, "do not read it back"),
        ("--full-verify", "full", "read it back and compare every frame"),
    ):
        checks.add_argument(flag, dest="verify", action="store_const", const=value, default=True, help=text)
    _add_work(parser, overwrite=True)


def _add_extract(commands: Any) -> None:
    parser = _command(commands, "extract", _extract, "get a payload back", key=True)
    parser.add_argument("stego", metavar="STEGO", help="video that carries it")
    parser.add_argument(
        "--out", metavar="FILE", required=True,
        help="file to write; - writes standard output, and holds the payload in memory",
    )  # fmt: skip
    parser.add_argument("--deep", action="store_true", help="try every key frame: the video was cut since")
    _add_work(parser, overwrite=True)


def _add_capacity(commands: Any) -> None:
    parser = _command(commands, "capacity", _capacity, "how much a video takes")
    parser.add_argument("cover", metavar="COVER", help="video to look at")


def _add_probe(commands: Any) -> None:
    parser = _command(commands, "probe", _probe, "what a video is, and whether it can be spliced")
    parser.add_argument("cover", metavar="COVER", help="video to look at")


def _add_verify(commands: Any) -> None:
    parser = _command(commands, "verify", _verify, "check a stego file against its cover", key=True)
    parser.add_argument("cover", metavar="COVER", help="the video as it was")
    parser.add_argument("stego", metavar="STEGO", help="the video that carries")
    parser.add_argument("--full", action="store_true", help="decode both and compare every frame")
    _add_work(parser)


def _command(commands: Any, name: str, run: Any, text: str, *, key: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False,
        epilog=_EPILOG if key else None,
    )  # fmt: skip
    parser.set_defaults(run=run, quiet=False)
    if key:
        parser.add_argument("--key-file", metavar="FILE", help="file that holds the key")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _add_work(parser: argparse.ArgumentParser, *, overwrite: bool = False) -> None:
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="workers, -1 for one per core (default: 1)"
    )
    parser.add_argument("--quiet", action="store_true", help="no result and no progress, only warnings")
    if overwrite:
        parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def _spread(text: str) -> Spread:
    number: Spread = text
    with suppress(ValueError):
        number = float(text)
    try:
        return check_spread(number)
    except ParameterError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of fewest, all and a number 0 < alpha <= 1"
        ) from None


# -- ways out -------------------------------------------------------------------------------------------


def _fail(error: object, code: int = 1) -> int:
    """Say on one line what went wrong."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"vidstega: error: {_one_line(error)}\n")
    return code


def _one_line(text: object) -> str:
    return " ".join(str(text).splitlines())


def _discard_stdout() -> None:
    """Let what is still buffered go nowhere, or the interpreter complains about it at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let signals raise, so that unfinished files are removed; a second one does not disturb that.

    Signals that are ignored, as under nohup, stay ignored. Outside the main thread nothing changes.
    """
    old: dict[int, Any] = {}

    def unwind(number: int, _: FrameType | None) -> None:
        for one in old:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    with suppress(ValueError):  # not in the main thread
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                old[number] = signal.signal(number, unwind)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print each warning that is for the user as one line, as it comes."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        sys.stderr.write(f"vidstega: warning: {_one_line(message)}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
