"""How many users a machine carries: real clients against a real server, and processes under a budget.

A *user* uploads a video with a message, waits, and downloads the result; a *level* is so many users at
once. Everything is bounded: users, rounds and seconds of a level. ``experiments/users.py`` measures, and
`records` holds what was measured, with the capacity model.
"""

from vidstega.lab.users.crowds import (
    Load,
    Visit,
    carried,
    climb,
    crowd,
    ended,
    level,
    processes,
    read_back,
    secret,
    summary,
)
from vidstega.lab.users.records import LIMIT_S, USERS, Cost, Level, UsersFile, load_users, need
from vidstega.lab.users.server import NO_RATES, PeakMemory, Server, Watch, serving

__all__ = [
    "LIMIT_S",
    "NO_RATES",
    "USERS",
    "Cost",
    "Level",
    "Load",
    "PeakMemory",
    "Server",
    "UsersFile",
    "Visit",
    "Watch",
    "carried",
    "climb",
    "crowd",
    "ended",
    "level",
    "load_users",
    "need",
    "processes",
    "read_back",
    "secret",
    "serving",
    "summary",
]
