"""The table of the lifecycle, from that of the state machine."""

import re
from pathlib import Path

from .articles import Problem
from .reasons import words

TRANSITION = re.compile(r'Transition\(\s*\.(\w+), from: ((?:\.\w+,\s*)+)to: \.(\w+),\s*by: "([^"]*)"\)')
EVENT = re.compile(r'case (\w+)(?: = "([^"]*)")?$', re.M)


def table(root: Path) -> str:
    text = (root / "Sources/Tenancy/Model/Lifecycle.swift").read_text()
    events = {name: value or name for name, value in EVENT.findall(text.split("public struct Transition")[0])}
    rows = TRANSITION.findall(text)
    if len(rows) != text.count("    Transition(") or {row[0] for row in rows} != set(events):
        raise Problem("the table of the lifecycle is not as this reads it")
    return "\n".join([
        "| event | from | to | by |", "| --- | --- | --- | --- |",
        *(f"| {events[event]} | {', '.join(words(state) for state in re.findall(r'[a-zA-Z]+', states))} "
          f"| {words(to)} | {cause} |" for event, states, to, cause in rows)]) + "\n"
