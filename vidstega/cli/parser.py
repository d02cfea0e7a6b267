"""The words of the command line."""

from __future__ import annotations

import argparse
import importlib
import sys
from contextlib import suppress
from typing import Any

import vidstega
from vidstega import carriers
from vidstega.carriers import AUTO
from vidstega.carriers.base import Spread, check_spread
from vidstega.channels import CHANNELS
from vidstega.cli import commands as run
from vidstega.cli.key import VARIABLE
from vidstega.cli.streams import say
from vidstega.errors import ParameterError

EXTRAS = {"stress": "notebooks", "report": "notebooks", "serve": "service"}
"""Commands that need an extra, and its name."""

_PLUG_INS = ("vidstega.lab.cli", "vidstega.service.cli")
_EPILOG = f"""\
the key: --key-file FILE (without one trailing newline, - for standard input), or the environment variable
{VARIABLE}, or asked for on the terminal. exit codes: 0; 1 for an error; 2 for a wrong command line; 130 after
Ctrl-C."""


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help to a full disk as an error; argparse is silent there."""
        if message and file is sys.stdout:
            say(message)
        else:
            super()._print_message(message, file)


def make_parser() -> argparse.ArgumentParser:
    """All commands; those of extras are there if their modules are."""
    parser = _Parser(prog="vidstega", description=vidstega.__doc__, epilog=_EPILOG, allow_abbrev=False)
    version = f"vidstega {vidstega.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_embed, _add_extract, _add_capacity, _add_probe, _add_verify, _add_survive):
        add(commands)
    for name in _PLUG_INS:
        _plug_in(name, commands)
    for one in (parser, *commands.choices.values()):
        one.add_argument("--debug", action="store_true", help="show where an error comes from")
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
    parser = _command(commands, "embed", run.embed, "hide a payload in a video", key=True)
    parser.add_argument("cover", metavar="COVER", help="video to hide it in")
    parser.add_argument("stego", metavar="STEGO", help="video to write; its extension says the container")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--payload", metavar="FILE", help="file to hide; - reads standard input")
    what.add_argument("--message", metavar="TEXT", help="text to hide; other users may see it in `ps`")
    able = f"{AUTO} (default: the quietest that holds it), or one of: {', '.join(carriers.names())}"
    parser.add_argument("--method", metavar="NAME", default=AUTO, help=able)
    share = (
        "as few frames as it needs, all frames, or so many bits per luma sample at the most "
        "(default: all with --method hill, or else fewest)"
    )
    choices = "fewest|all|ALPHA"
    parser.add_argument("--spread", type=_spread, metavar=choices, default="usual", help=share)
    survive = "with --method robust: the channel that the message has to come through (default: 480p)"
    parser.add_argument("--survive", metavar="CHANNEL", help=survive)
    psnr = "with --method robust: decibels of the embedding, 40 to 60, instead of trying what it takes"
    parser.add_argument("--psnr", type=float, metavar="DB", help=psnr)
    parser.add_argument("--no-compress", dest="compress", action="store_false", help="seal it as it is")
    _add_checks(parser.add_mutually_exclusive_group())
    _add_work(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def _add_checks(group: Any) -> None:
    constant = {"dest": "verify", "action": "store_const", "default": True}
    for flag, value, text in (
        ("--verify", True, "read the result back before it appears (default)"),
        ("--no-verify", False, "do not read it back"),
        ("--full-verify", "full", "read it back and compare every frame"),
    ):
        group.add_argument(flag, const=value, help=text, **constant)


def _add_extract(commands: Any) -> None:
    parser = _command(commands, "extract", run.extract, "get a payload back", key=True)
    parser.add_argument("stego", metavar="STEGO", help="video that carries it")
    out = "file, pipe or device to write once all of it is proved; - is standard output"
    parser.add_argument("--out", metavar="FILE", required=True, help=out)
    deep = "look longer: the video was cut, or one with a robust message cropped or stretched, since"
    parser.add_argument("--deep", action="store_true", help=deep)
    parser.add_argument("--method", metavar="NAME", help="robust is not looked for unasked")
    _add_work(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it is a file")


def _add_capacity(commands: Any) -> None:
    parser = _command(commands, "capacity", run.capacity, "how much a video takes")
    parser.add_argument("cover", metavar="COVER", help="video to look at")
    parser.add_argument("--method", metavar="NAME", help="by this method alone, such as robust")


def _add_probe(commands: Any) -> None:
    parser = _command(commands, "probe", run.probe, "what a video is, and whether it can be spliced")
    parser.add_argument("cover", metavar="COVER", help="video to look at")


def _add_verify(commands: Any) -> None:
    parser = _command(commands, "verify", run.verify, "check a stego file against its cover", key=True)
    parser.add_argument("cover", metavar="COVER", help="the video as it was")
    parser.add_argument("stego", metavar="STEGO", help="the video that carries")
    parser.add_argument("--method", metavar="NAME", help="robust is not looked for unasked")
    parser.add_argument("--full", action="store_true", help="decode both and compare every frame")
    _add_work(parser)


def _add_survive(commands: Any) -> None:
    parser = _command(
        commands, "survive", run.survive, "what a stego survives, tried by coding it again", key=True
    )
    parser.add_argument("stego", metavar="STEGO", help="video that carries it")
    parser.add_argument("--method", metavar="NAME", help="how it was hidden, if by robust")
    names = f"channels to try, of {', '.join(CHANNELS)} (default: all)"
    parser.add_argument("--through", metavar="NAME,...", type=lambda text: text.split(","), help=names)
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _command(commands: Any, name: str, run: Any, text: str, *, key: bool = False) -> argparse.ArgumentParser:
    about = {"help": text, "description": f"{text[0].upper()}{text[1:]}."}
    parser: argparse.ArgumentParser = commands.add_parser(name, allow_abbrev=False, **about)
    parser.set_defaults(run=run)
    if key:
        parser.epilog = _EPILOG
        parser.add_argument("--key-file", metavar="FILE", help="file that holds the key; - is standard input")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def _add_work(parser: argparse.ArgumentParser) -> None:
    jobs = "workers, -1 for one per core (default: 1)"
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=jobs)
    parser.add_argument("--quiet", action="store_true", help="no result and no progress, only warnings")


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
