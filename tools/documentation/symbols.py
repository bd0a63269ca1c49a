"""Which public symbols of the products have no documentation comment, found in their text.

What documents itself: what overrides, what the standard library's protocols demand, what implements a
requirement of a protocol of ours (that one is documented), and the raw value of what is `RawRepresentable`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

DECLARATION = re.compile(
    r"^(?P<words>(?:(?:@[\w.]+(?:\([^()]*\))?|(?:unowned|nonisolated|private|fileprivate|public|open|package|internal)"
    r"\(\w+\)|public|open|package|internal|private|fileprivate|static|class|final|indirect|lazy|weak|mutating"
    r"|nonmutating|consuming|borrowing|override|required|convenience|nonisolated|isolated|unowned|dynamic"
    r"|prefix|postfix|infix|distributed|sending|async) +)*)"
    r"(?P<kind>protocol|struct|class|enum|actor|extension|func|var|let|init|subscript|case|typealias|associatedtype"
    r"|macro)\b(?P<rest>.*)$")
ATTRIBUTES = re.compile(r"^(?:@[\w.]+(?:\([^()]*\))? *)+$")
TYPES = {"protocol", "struct", "class", "enum", "actor"}
# What protocols of the standard library demand, as far as types here conform to them.
STANDARD = {
    "Equatable": {"=="},
    "Hashable": {"==", "hash(into:)"},
    "Comparable": {"==", "<"},
    "CustomStringConvertible": {"description"},
    "CustomDebugStringConvertible": {"debugDescription"},
    "CustomReflectable": {"customMirror"},
    "RawRepresentable": {"RawValue", "rawValue", "init(rawValue:)"},
    "OptionSet": {"RawValue", "rawValue", "init(rawValue:)"},
    "CaseIterable": {"allCases"},
    "Encodable": {"encode(to:)"},
    "Decodable": {"init(from:)"},
    "Codable": {"encode(to:)", "init(from:)"},
    "Sequence": {"Element", "Iterator", "makeIterator()"},
    "IteratorProtocol": {"Element", "next()"},
    "AsyncSequence": {"Element", "Failure", "AsyncIterator", "makeAsyncIterator()"},
    "AsyncIteratorProtocol": {"Element", "Failure", "next()", "next(isolation:)"},
    "ExpressibleByDictionaryLiteral": {"Key", "Value", "init(dictionaryLiteral:)"},
    "ExpressibleByStringLiteral": {"init(stringLiteral:)"},
    "TaskExecutor": {"enqueue(_:)"},
}


@dataclass
class Scope:
    """What braces are around."""

    kind: str = ""
    name: str = ""
    public: bool = False


@dataclass
class Symbol:
    file: Path
    line: int
    kind: str
    name: str
    parent: str
    documented: bool
    text: str
    override: bool = False
    required: bool = False  # By a protocol.


@dataclass
class Module:
    symbols: list[Symbol] = field(default_factory=list)
    types: dict[str, bool] = field(default_factory=dict)  # Full name -> public.
    conformances: dict[str, set[str]] = field(default_factory=dict)
    requirements: dict[str, set[str]] = field(default_factory=dict)


def blank(text: str) -> str:
    """The text with spaces for comments, and for what is in quotes, so that the braces that are left are of code."""
    out = list(text)
    at, stack = 0, []  # What we are in: a text's delimiter, or the depth of parentheses of an interpolation.
    while at < len(text):
        if stack and isinstance(stack[-1], str):
            quote = stack[-1]
            hashes = "#" * quote.count("#")
            if text.startswith(f"\\{hashes}(", at):
                at += len(hashes) + 2
                stack.append(1)
                continue
            if text.startswith(quote, at):
                stack.pop()
                step = len(quote)
            else:
                step = 2 if text[at] == "\\" and not hashes else 1
            _erase(out, text, at, at + step)
            at += step
            continue
        found = re.compile(r'//[^\n]*|/\*.*?\*/|#*"""|#*"', re.S).match(text, at)
        if found:
            if found[0].startswith("/"):
                _erase(out, text, at, found.end())
            else:
                quote = found[0].lstrip("#")
                stack.append(quote + "#" * (len(found[0]) - len(quote)))
            at = found.end()
            continue
        if stack:
            stack[-1] += {"(": 1, ")": -1}.get(text[at], 0)
            out[at] = "\n" if text[at] == "\n" else " "
            if not stack[-1]:
                stack.pop()
        at += 1
    return "".join(out)


def _erase(out: list[str], text: str, start: int, end: int) -> None:
    for at in range(start, min(end, len(text))):
        if text[at] != "\n":
            out[at] = " "


def _name(kind: str, rest: str, following: str) -> str:
    """The name, of what is called with the first label: `init(rawValue:)`."""
    match = re.match(r"([\w.]+)|([^\s\w(]+)", rest.strip())
    name = kind if kind in ("init", "subscript") else (match[1] or match[2]) if match else rest
    if kind not in ("init", "func") or match and match[2] and kind == "func":
        return name
    labels = re.search(r"\((?:(\w+)\b)?", re.sub(r"<[^()]*>", "", f"{rest} {following}"))
    return f"{name}({labels[1]}:)" if labels and labels[1] else f"{name}()"


def _inherited(text: str) -> set[str]:
    """The names after the colon of a type's or extension's head."""
    head = re.split(r"\bwhere\b|\{", text)[0]
    head = re.sub(r"<[^<>]*>", "", head)
    if ":" not in head:
        return set()
    names = re.split(r"[,&]", head.split(":", 1)[1])
    return {re.sub(r"@\w+|\bany\b", "", name).strip().rpartition(".")[2] for name in names}


def read(module: Module, file: Path) -> None:
    """Adds what a file declares."""
    text = file.read_text()
    lines, code = text.splitlines(), blank(text).splitlines()
    scopes: list[Scope] = []
    pending: Scope | None = None
    documented = False
    for number, (line, bare) in enumerate(zip(lines, code, strict=True), start=1):
        stripped = bare.strip()
        if line.strip().startswith("///"):
            documented = True
            continue
        if ATTRIBUTES.match(stripped) or stripped.startswith("#") or line.strip().startswith("//"):
            continue
        around = scopes[-1] if scopes else Scope("file")
        declared = DECLARATION.match(stripped)
        if declared and around.kind in TYPES | {"file", "extension"}:
            following = " ".join(code[number:number + 6])
            for symbol in _declared(module, file, number, declared, around, following, line):
                symbol.documented = documented
                module.symbols += [symbol] if symbol.text else []
                kind = symbol.kind
                full = f"{symbol.parent}.{symbol.name}".lstrip(".") if kind in TYPES else symbol.name
                public = module.types.get(full, False) if kind in TYPES else True
                pending = Scope(kind, full, public)
        if stripped:
            documented = False
        for character in bare:
            if character == "{":
                scopes.append(pending or Scope("block"))
                pending = None
            elif character == "}" and scopes:
                scopes.pop()


def _declared(module, file, number, declared, around: Scope, following: str, line: str) -> list[Symbol]:
    """What a line declares: several cases, or one thing. Without text if it isn't public."""
    words, kind, rest = declared["words"].split(), declared["kind"], declared["rest"].replace("`", "")
    public = "public" in words or "open" in words
    if kind == "class" and re.match(r" *(func|var|let|subscript)\b", rest):
        kind, rest = rest.split(None, 1)
    parent = around.name
    name = _name(kind, rest, following)
    if kind in TYPES:
        full = f"{parent}.{name}".lstrip(".")
        module.types[full] = public
        module.conformances.setdefault(full, set()).update(_inherited(f"{rest} {following}"))
    elif kind == "extension":
        module.conformances.setdefault(name, set()).update(_inherited(f"{rest} {following}"))
    elif around.kind == "protocol":
        module.requirements.setdefault(parent.rpartition(".")[2], set()).add(name)
        public = around.public
    elif kind == "case":
        public = around.public
    shown = line.strip() if public and kind != "extension" else ""
    names = [name]
    if kind == "case":
        names = re.findall(r"`?(\w+)`?", re.sub(r"\([^()]*\)|=[^,]*", "", re.sub(r"\([^()]*\)", "", rest)))
    override, required = "override" in words, around.kind == "protocol"
    return [Symbol(file, number, kind, name, parent, False, shown, override, required) for name in names]


def _public(module: Module, name: str) -> bool:
    """Whether a type and those that it is in are public; types of others are."""
    parts = name.split(".")
    return all(module.types.get(".".join(parts[:count]), True) for count in range(1, len(parts) + 1))


def _implements(module: Module, every: Module, symbol: Symbol) -> bool:
    """Whether it stands for a requirement of a protocol that the type conforms to, by itself or by another one, or
    that is extended."""
    if symbol.required:
        return False
    seen, left = set(), [symbol.parent.rpartition(".")[2], *module.conformances.get(symbol.parent, ())]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            if symbol.name in every.requirements.get(name, ()):
                return True
            left += every.conformances.get(name, ())
    return False


def products(root: Path) -> list[str]:
    """The Swift targets of the library products, and what these export."""
    found = re.findall(r"\.library\([^()]*targets: \[([^\]]*)\]", (root / "Package.swift").read_text())
    names = {name for targets in found for name in re.findall(r'"(\w+)"', targets)}
    files = [file for name in names for file in (root / "Sources" / name).rglob("*.swift")]
    exported = re.compile(r"^@_exported public import (\w+)$", re.MULTILINE)
    names |= {name for file in files for name in exported.findall(file.read_text())}
    return sorted(name for name in names if any((root / "Sources" / name).rglob("*.swift")))


def undocumented(root: Path) -> list[str]:
    """A line for each public symbol without documentation."""
    modules = {}
    every = Module(requirements=dict(STANDARD))
    for name in products(root):
        module = modules[name] = Module()
        for file in sorted((root / "Sources" / name).rglob("*.swift")):
            read(module, file)
        every.requirements |= module.requirements
        for parent, names in module.conformances.items():
            every.conformances.setdefault(parent, set()).update(names)
    lines = []
    for module in modules.values():
        for symbol in module.symbols:
            if symbol.documented or symbol.override:
                continue
            if not _public(module, symbol.parent) or _implements(module, every, symbol):
                continue
            place = f"{symbol.file.relative_to(root)}:{symbol.line}"
            lines.append(f"{place}: no documentation: {symbol.text}")
    return list(dict.fromkeys(lines))
