"""What the README and the articles show in fenced blocks, all of which a reader may paste."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "README.md", *sorted((ROOT / "Sources/Tenancy/Tenancy.docc").glob("*.md"))]
TEXT = "\n".join(file.read_text() for file in FILES)


def blocks(language: str) -> list[str]:
    """All of a language, each once; "" for those that name none, as the shell's do."""
    found = [text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.M | re.S) if kind == language]
    return list(dict.fromkeys(found))


def block(language: str, start: str, *, without: str | None = None) -> str:
    """The one block of a language that holds `start`, and not `without`."""
    [found] = [text for text in blocks(language)
               if start in text and (without is None or without not in text)]
    return found
