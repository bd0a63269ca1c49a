"""Random conditions, and what two other implementations of CEL make of them: cel-python, in Python, and
common-expression-language, in Rust.

Each has corners in which it is not what CEL's specification says. They have names here, and a condition that has one is
not asked of the implementation that fails there.
"""

import logging
from datetime import datetime, timezone

import cel
import celpy
from celpy import celtypes

from . import api
from .cel_expressions import NAMES, NUMBERS

authz = api.authz
logging.getLogger("celpy").setLevel(logging.CRITICAL + 1)
APART = {
    "python": {
        # Equality of values of several types fails; it is false, or compares numbers as such. Order fails, too.
        "mixed-equality", "mixed-order",
        # Numbers of several types are added; this is no overload.
        "mixed-arithmetic",
        # l[-1] is the last element; it fails.
        "negative-index",
        # map with a predicate takes but one variable and one expression.
        "map-predicate",
        # has(a.b.c) is false where there is no a.b; it fails.
        "has-of-absent",
        # Of a sum of texts or bytes it knows neither the type nor `contains`.
        "sum-of-texts",
        # A quotient of doubles is none.
        "quotients",
        # Of a difference of durations it knows no parts.
        "difference-of-durations",
        # A map of values that fail does not; it fails.
        "values-of-maps",
        # || and && do not pass over `filter` and `map` that fail.
        "failing-filter",
        # bool("4") is true; it fails.
        "bool-of-text",
        # string(true) is "True".
        "text-of-bool",
        # Of a duration all are counted, not those beside its seconds.
        "milliseconds",
        # exists_one passes over elements that fail; it fails.
        "failing-one",
    },
    "rust": {
        # Texts have the size of their UTF-8; it is in code points.
        "size-of-text",
        # `exists` and `all` do not pass over failures of elements where another decides.
        "failing-element",
        # -(-9223372036854775808) is what it was; it overflows. -true is false; it fails.
        "negation",
        # The last of two equal keys counts; it fails.
        "equal-keys",
        # What is no key of any map is looked for, and that fails; it is in none.
        "mistyped-key",
        # What is no UTF-8 becomes a text all the same; it fails.
        "text-of-bytes",
        # Of a time that is written with an offset the parts are those there; they are UTC's. There is none of the rest.
        "offset", "text-of-bool", "bool-of-text", "int-of-timestamp",
        # As above.
        "milliseconds",
    },
}


def attributes(random) -> dict:
    """Maps as questions send them, of which some are absent, and some values of another type."""
    def one():
        made = {
            "level": random.choice(NUMBERS), "name": random.choice(NAMES), "flag": random.random() < 0.5,
            "mfa": random.random() < 0.5, "names": random.sample(NAMES, random.randint(0, 4)),
            "numbers": random.sample(NUMBERS, random.randint(0, 4)), "none": None,
            "scores": {name: random.choice(NUMBERS) for name in ("low", "high") if random.random() < 0.8}}
        return {name: value for name, value in made.items() if random.random() < 0.9}
    return {name: one() for name in ("subject", "resource", "context") if random.random() < 0.93}


def mistyped(random, parts: dict) -> dict:
    """With some values of another type. Not for cel-python: a boolean is a number to it, what is no boolean an operand
    of && and ||, and equality of several types fails."""
    made = {name: dict(part) for name, part in parts.items()}
    for part in made.values():
        for name in part:
            if random.random() < 0.15:
                part[name] = random.choice([1.0, "1", True, None])
    return made


def variables(parts: dict, subject: str, permission: str, resource: str) -> dict:
    kind, action = permission.split(":")
    made = {"subject": {"id": subject}, "resource": {"type": kind}, "action": action, "now": NOW}
    if resource:
        made["resource"]["id"] = resource
    for name in ("subject", "resource"):
        if name in parts:
            made[name]["attributes"] = parts[name]
    if "context" in parts:
        made["context"] = parts["context"]
    return made


def message(parts: dict):
    made = authz.CheckAttributes()
    for name, part in parts.items():
        sent = getattr(made, name)
        sent.SetInParent()  # A map without elements is another thing than none.
        sent.update(part)
    return made


# MARK: Implementations

NOW = datetime.now(timezone.utc)
ENVIRONMENT = celpy.Environment(runner_class=celpy.InterpretedRunner)


class Python:
    @staticmethod
    def program(source: str):
        return ENVIRONMENT.program(ENVIRONMENT.compile(source))

    @staticmethod
    def values(made: dict):
        now = made["now"]
        return celpy.json_to_cel({name: one for name, one in made.items() if name != "now"}) | {
            "now": celtypes.TimestampType(now)}

    @staticmethod
    def evaluate(program, values):
        try:
            made = program.evaluate(values)
        except (celpy.CELEvalError, TypeError, AttributeError, ValueError, LookupError, ArithmeticError):
            return None
        return bool(made) if isinstance(made, (bool, celtypes.BoolType)) else None


class Rust:
    @staticmethod
    def program(source: str):
        return cel.compile(source)

    @staticmethod
    def values(made: dict):
        return made

    @staticmethod
    def evaluate(program, values):
        try:
            made = program.execute(values)
        except (TypeError, ValueError, KeyError, IndexError, RuntimeError, OverflowError, ZeroDivisionError):
            return None
        return made if isinstance(made, bool) else None


ENGINES = {"python": Python, "rust": Rust}
