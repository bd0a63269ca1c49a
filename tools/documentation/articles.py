"""The articles and the README: what is generated in them, and what is demanded of them."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CATALOG = Path("Sources/Tenancy/Tenancy.docc")
README_LINES = 150
LINE = 120  # Characters, except in tables, and in links, which cannot be broken.


class Problem(Exception):
    """The code is not as this reads it."""


def update(root: Path, name: str, section: str, table: str, checks: bool) -> list[str]:
    """Writes a generated section of an article, or says that it is not current."""
    file = root / CATALOG / f"{name}.md"
    text = file.read_text()
    begin, end = f"<!-- tools/documents: {section} -->\n", "<!-- end -->\n"
    if text.count(begin) != 1 or end not in text.split(begin)[1]:
        raise Problem(f"{file}: no place for {section}")
    head, rest = text.split(begin)
    new = f"{head}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"
    if new == text:
        return []
    if checks:
        return [f"{CATALOG / name}.md is not current: run tools/documents"]
    file.write_text(new)
    return []


def laws(root: Path) -> list[str]:
    """Of length, and of links."""
    problems = []
    readme = (root / "README.md").read_text()
    if (lines := readme.count("\n")) > README_LINES:
        problems.append(f"README.md: {lines} lines, more than {README_LINES}")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", readme):
        if "://" not in target and not (root / target).exists():
            problems.append(f"README.md: there is no {target}")
    anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
               for head in re.findall(r"^#+ (.*)$", readme, re.M)}
    problems += [f"README.md: there is no #{anchor}" for anchor in re.findall(r"\]\(#([^)]+)\)", readme)
                 if anchor not in anchors]
    for file in [root / "README.md", *sorted((root / CATALOG).glob("*.md"))]:
        place = file.relative_to(root)
        fenced = False
        for number, line in enumerate(file.read_text().splitlines(), 1):
            fenced ^= line.startswith("```")
            if len(line) > LINE and not fenced and not line.startswith("|") and "](" not in line:
                problems.append(f"{place}:{number}: longer than {LINE} characters")
    return problems


def convert(root: Path) -> list[str]:
    """What DocC warns of. A module without symbols stands for the code, so that nothing needs to be built."""
    program = shutil.which("docc")
    if program is None and (swift := shutil.which("swift")):
        beside = Path(swift).resolve().with_name("docc")
        program = str(beside) if beside.exists() else None
    if program is None:
        return ["docc is missing: it comes with the Swift toolchain"]
    graph = {
        "metadata": {"formatVersion": {"major": 0, "minor": 6, "patch": 0}, "generator": "tools/documents"},
        "module": {"name": "Tenancy", "platform": {
            "architecture": "x86_64", "operatingSystem": {"name": "linux"}}},
        "symbols": [], "relationships": []}
    with tempfile.TemporaryDirectory(prefix="documents-") as directory:
        graphs = Path(directory, "graphs")
        graphs.mkdir()
        (graphs / "Tenancy.symbols.json").write_text(json.dumps(graph))
        done = subprocess.run(
            [program, "convert", str(root / CATALOG), "--additional-symbol-graph-dir", str(graphs),
             "--fallback-display-name", "Tenancy", "--fallback-bundle-identifier", "tenancy",
             "--output-path", f"{directory}/archive", "--warnings-as-errors"],
            capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        return []
    return [(done.stdout + done.stderr).strip() or "docc failed"]
