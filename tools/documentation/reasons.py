"""The table of reasons: names and meanings from `TenancyError.Reason`, codes from where errors are made."""

import re
from pathlib import Path

from .articles import Problem

# Made with the code of the category.
PAIR = re.compile(r"\.(\w+),\s*\.(\w+)\b")
# `TenancyError.invalid` and whoever passes a reason to it.
INVALID = re.compile(r"\breason: \.(\w+)\b")
INLINE = re.compile(r'\.(\w+),\s*TenancyError\.Reason\("(\w+)"\),\s*"([^"]*)"')
DECLARATION = re.compile(r'((?: *///.*\n)*) *(?:public )?static let (\w+) = Self\("(\w+)"\)')
SOURCES = ("Tenancy", "TenancyServer", "TenancyStore", "tenantd")


def words(name: str) -> str:
    """`failedPrecondition` is FAILED_PRECONDITION."""
    return "INTERNAL" if name == "internalError" else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def table(root: Path) -> str:
    texts = [file.read_text() for source in SOURCES
             for file in sorted((root / "Sources" / source).rglob("*.swift"))]
    # Reasons are declared in extensions of their own.
    reasons = {}
    for text in texts:
        for extension in re.findall(r"^extension TenancyError\.Reason \{\n(.*?)^\}", text, re.M | re.S):
            for comment, name, value in DECLARATION.findall(extension):
                meaning = " ".join(line.strip().removeprefix("///").strip() for line in comment.splitlines())
                if not meaning:
                    raise Problem(f"the reason {value} has no meaning: comment it")
                reasons[name] = (value, meaning, set())
    [declared] = [text for text in texts if re.search(r"enum Category\b.*?\{", text)]
    [body] = re.findall(r"enum Category\b.*?\{(.*?)\}", declared, re.S)
    categories = {name for case in re.findall(r"case (.*)", body) for name in re.split(r",\s*", case.strip())}
    inline = {}
    for text in texts:
        for category, name in PAIR.findall(text):
            if category in categories and name in reasons:
                reasons[name][2].add(words(category))
        for name in INVALID.findall(text):
            if name in reasons:
                reasons[name][2].add("INVALID_ARGUMENT")
        for category, value, message in INLINE.findall(text):
            inline[value] = (value, f"{message[:1].upper()}{message[1:]}.", {words(category)})
    reasons["invalidField"][2].add("INVALID_ARGUMENT")
    if missing := [value for value, _, codes in reasons.values() if not codes]:
        raise Problem(f"reasons that nothing is refused with: {', '.join(missing)}")
    rows = sorted([*reasons.values(), *inline.values()])
    return "\n".join([
        "| reason | code | meaning |", "| --- | --- | --- |",
        *(f"| `{value}` | {', '.join(f'`{code}`' for code in sorted(codes))} | {meaning} |"
          for value, meaning, codes in rows)]) + "\n"
