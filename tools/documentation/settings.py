"""The table of settings: names, kinds and ranges from the daemon's readers of the configuration, and those of the
runtime's limits from its own table; defaults from the types that these fill, meanings from `meanings.py`."""

import re
from pathlib import Path

from .articles import Problem
from .meanings import DEFAULTS, MEANINGS

# Where each section is read: the file, how the function begins, and the section that each receiver of a call stands
# for. A section of the root is "".
READERS = [
    ("Configuration", "init(json5:", {"root": ""}),
    ("ListenerSettings", "func address(", {"settings": "listeners[]"}),
    ("ListenerSettings", "func group(", {"settings": "listeners[]"}),
    ("ListenerSettings", "init(_ settings:", {"settings": "listeners[]"}),
    ("Configuration", "func trustDomains(", {"settings": "identity"}),
    ("Configuration", "func identity(", {"settings": "identity", "user": "identity.unix_users[]"}),
    ("ResolutionSettings", "init(_ settings:", {"settings": "resolution"}),
    ("ResolutionSettings", "func readPaths(", {"settings": "resolution"}),
    ("ResolutionSettings", "func readHeaders(", {"settings": "resolution"}),
    ("Configuration", "func retention(", {"settings": "log"}),
    ("TLSSettings", "init(_ settings:", {"settings": "tls"}),
    ("TLSSettings", "func trust(", {"settings": "tls", "bundle": "tls.trust_bundles[]"}),
    ("TLSSettings", "func grant(", {"bundle": "tls.trust_bundles[]"}),
    ("MasterKeys", "init(_ settings:", {"settings": "secrets"}),
    ("MasterKeys", "func source(", {"settings": "secrets.master_key"}),
    ("TokenSettings", "init(", {"settings": "tokens"}),
    ("EnvoySettings", "init(_ settings:", {"settings": "envoy", "route": "envoy.routes[]"}),
    ("RateLimitSettings", "init(_ settings:", {"settings": "rate_limits", "plan": "rate_limits.plans[]"}),
    ("RateLimitSettings", "init(_ limit:", {"limit": "rate_limits.plans[].limits[]"}),
    ("WorkloadAPISettings", "init(_ settings:", {"settings": "workload_api"}),
    ("WorkloadAPISettings", "init(_ uri:", {"settings": "workload_api"}),
    ("IssuerSettings", "init(_ settings:",
     {"settings": "tokens.issuers[]", "claim": "tokens.issuers[].required_claims[]"}),
    ("IssuerSettings", "func naming(", {"settings": "tokens.issuers[]"}),
    ("DomainSettings", "init(_ settings:", {"settings": "domains"}),
    ("KeySetSettings", "init(_ settings:", {"settings": "tokens.jwks"}),
    ("StoreSettings", "init(_ settings:", {"settings": "store"}),
    ("StoreSettings", "func postgreSQL(", {"settings": "store.postgresql"}),
    ("StoreSettings", "func place(", {"settings": "store.postgresql"}),
    ("StoreSettings", "func tls(", {"settings": "store.postgresql.tls"}),
    ("Nodes", "init(_ settings:", {"settings": "nodes"}),
    ("ClusterSettings", "init(_ settings:", {"settings": "clusters[]", "table": "clusters[].shared_tables[]"}),
    ("StoreSettings", "func server(", {"settings": "clusters[].postgresql"}),
    ("StoreSettings", "func place(", {"settings": "clusters[].postgresql"}),
    ("StoreSettings", "func tls(", {"settings": "clusters[].postgresql.tls"}),
    ("StoreSettings", "func server(", {"settings": "store.postgresql"}),
    ("AuditSettings", "init(_ settings:", {"settings": "audit"}),
    ("HTTPSettings", "init(_ settings:", {"settings": "http"}),
    ("HTTPSettings", "func authZEN(", {"settings": "http.authzen"}),
    ("AccessLogSettings", "init(_ settings:", {"settings": "access_log"}),
    ("TracingSettings", "init(_ settings:", {"settings": "tracing"}),
    ("PeerSettings", "init(_ settings:", {"settings": "tracing.tls"}),
    ("QuotaSettings", "init(_ settings:", {"settings": "quotas"}),
    ("UsageSettings", "init(_ settings:", {"settings": "usage"}),
    ("DecisionSettings", "init(_ settings:", {"settings": "decisions"}),
    ("LifecycleSettings", "init(_ settings:", {"settings": "lifecycle"}),
    ("LifecycleSettings", "Approval {\n  init(_ settings:", {"settings": "lifecycle.approval"}),
    ("PeerSettings", "init(_ settings:", {"settings": "lifecycle.approval.tls"}),
]
SECTIONS = ["", "listeners[]", "identity", "identity.unix_users[]", "tls", "tls.trust_bundles[]", "secrets",
            "secrets.master_key", "tokens", "tokens.issuers[]", "tokens.issuers[].required_claims[]", "tokens.jwks",
            "envoy", "envoy.routes[]", "rate_limits", "rate_limits.plans[]", "rate_limits.plans[].limits[]",
            "workload_api", "domains", "store", "store.postgresql", "store.postgresql.tls", "nodes",
            "clusters[]", "clusters[].postgresql", "clusters[].postgresql.tls", "clusters[].shared_tables[]", "resolution",
            "limits", "quotas", "usage", "decisions", "lifecycle", "lifecycle.approval", "lifecycle.approval.tls",
            "log", "audit", "http", "http.authzen", "access_log",
            "tracing", "tracing.tls"]
KINDS = {"string": "text", "optionalString": "text", "integer": "number", "fraction": "0 to 1", "boolean": "`true`, `false`",
         "strings": "texts", "entries": "texts", "stringLists": "object of texts", "section": "object", "object": "object", "list": "list of objects"}
READ = re.compile(
    r'\b(\w+)\.(' + "|".join(KINDS) + r')\(\s*"(\w+)"(?:,\s*in: ((?:[^()\n]|\([^()\n]*\))+))?')
# Helpers of the readers: how they are called, what they add to the name, and the bounds that they have.
HELPERS = [
    (re.compile(r'\btry duration\("(\w+)", &(\w+)\)'), "_milliseconds", "StoreSettings",
     r'integer\("\\\(name\)_milliseconds", in: (\S+?)\)'),
]

# The runtime's limits: an entry of their table.
LIMITS = "ServerLimits+Settings"
LIMIT = re.compile(
    r'\.(?:count|seconds|milliseconds|optionalSeconds)\(\s*"(\w+)",\s*\\\.(\w+),\s*([\d_]+\.\.\.[\d_]+)\)')


def body(text: str, start: str) -> str:
    """A function, from its name to the brace that ends it."""
    if start not in text:
        raise Problem(f"there is no {start}")
    text = text[text.index(start):]
    depth = 0
    for place in range(text.index("{"), len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[:place]
    raise Problem(f"{start} has no end")


def number(text: str, sources: str) -> int:
    """The value of an expression of integers."""
    text = text.strip()
    if text == "Int(UInt32.max)":
        return 2**32 - 1
    if constant := re.fullmatch(r"[A-Z]\w*\.(\w+)", text):
        text = re.search(rf"static let {constant[1]} = ([\d_]+)", sources)[1]
    if not re.fullmatch(r"[\d_\s*/()<+-]+", text):
        raise Problem(f"not a number: {text}")
    return int(eval(text.replace("/", "//"), {"__builtins__": {}}))  # Digits and operators only.


def bounds(text: str, local: str, sources: str) -> str:
    text = text.strip()
    if "..." not in text:  # A constant of the function.
        text = re.search(rf"let {text} = (\S+)", local)[1]
    low, high = text.split("...")
    return f"{number(low, sources):,} to {number(high, sources):,}"


def bodies(root: Path):
    sources = "\n".join(file.read_text() for file in sorted((root / "Sources").glob("Tenancy*/**/*.swift")))
    for name, start, receivers in READERS:
        text = (root / "Sources/tenantd" / f"{name}.swift").read_text()
        yield body(text, start), receivers, sources


def runtime_limits(root: Path) -> list[tuple[str, str, str]]:
    """Name, property of `ServerLimits` and range of each limit."""
    [file] = (root / "Sources").rglob(f"{LIMITS}.swift")
    table = file.read_text().partition("settings: [LimitSetting] = [")[2].partition("\n  ]\n")[0]
    found = LIMIT.findall(table)
    if not found or len(found) != len(re.findall(r"^    \.\w+\(", table, re.M)):
        raise Problem(f"entries of {LIMITS} that can't be read")
    return [(name, place, bounds(span, "", "")) for name, place, span in found]


def read(root: Path) -> dict[str, tuple[str, str]]:
    """Kind and range of each setting, by its path."""
    found = {}
    for text, receivers, sources in bodies(root):
        def add(receiver, name, kind, limits, receivers=receivers):
            if receiver not in receivers:
                raise Problem(f"{name} is read from {receiver}: say in tools/documentation/settings.py where it is")
            path = f"{receivers[receiver]}.{name}".lstrip(".")
            found[path] = (kind, limits)
        for receiver, kind, name, limits in READ.findall(text):
            add(receiver, name, KINDS[kind], bounds(limits, text, sources) if limits else "")
        for helper, suffix, file, limits in HELPERS:
            for name, receiver in helper.findall(text):
                source = (root / "Sources/tenantd" / f"{file}.swift").read_text()
                add(receiver, name + suffix, "number", bounds(re.search(limits, source)[1], text, sources))
    for name, _, span in runtime_limits(root):
        found[f"limits.{name}"] = ("number", span)
    everywhere = set()
    for file in (root / "Sources/tenantd").glob("*.swift"):
        everywhere |= {name for _, _, name, _ in READ.findall(file.read_text())}
    if lost := everywhere - {path.rpartition(".")[2] for path in found}:
        raise Problem(f"settings that are read elsewhere: {', '.join(sorted(lost))}")
    return found


def value(root: Path, path: str) -> str:
    """A default: as it is said, or of a property of a type, `@File:property`."""
    said = DEFAULTS.get(path, "")
    section, _, last = path.partition(".")
    if section == "limits" and last:
        [said] = [f"@ServerLimits:{place}" for name, place, _ in runtime_limits(root) if name == last]
    if not said.startswith("@"):
        return said
    name, _, wanted = said[1:].partition(":")
    wanted, _, label = wanted.partition(".")  # `property.label`: an argument of its initializer.
    [file] = [file for file in (root / "Sources").rglob(f"{name}.swift")]
    text = file.read_text()
    found = re.search(rf"\b{re.escape(wanted)}: \w+\?? = ([^,()]+(?:\([^()]*\))?)", text) \
        or re.search(rf"(?:var|let) {re.escape(wanted)}\b(?:: [^=\n]+)? = (.+)$", text, re.M)
    if found is None and re.search(rf"var {re.escape(wanted)}: \w+\?$", text, re.M):
        return "none"
    if found is None:
        raise Problem(f"{path}: {name} has no default for {wanted}")
    text = found[1]
    if label:
        text = re.search(rf"\b{label}: (.+?)(?:, \w+:|\)$)", text)[1]
    text = text.strip()
    if text == "nil":
        return "none"
    if part := re.fullmatch(r"(?:Duration)?\.(seconds|milliseconds)\((\d+)\)", text):
        scale = 1000 if path.endswith("_milliseconds") and part[1] == "seconds" else 1
        return f"{int(part[2]) * scale:,}"
    if part := re.fullmatch(r"Days\((\d+)\)", text):
        return f"{int(part[1]):,}"
    if text.startswith('"'):
        return f"`{text.strip(chr(34))}`"
    return f"{number(text, ''):,}"


def table(root: Path) -> str:
    settings = read(root)
    if unknown := sorted(settings.keys() ^ MEANINGS.keys()):
        raise Problem("settings without a meaning, or meanings without a setting, in "
                      f"tools/documentation/meanings.py: {', '.join(unknown)}")
    if unknown := sorted(DEFAULTS.keys() - settings.keys()):
        raise Problem(f"defaults without a setting: {', '.join(unknown)}")
    parts = []
    for section in SECTIONS:
        rows = [path for path in settings if path.rpartition(".")[0] == section]
        if not rows:
            raise Problem(f"the section {section} is empty")
        parts.append("\n".join([
            f"## {section or 'The file'}", "", "| setting | values | default | meaning |", "| --- | --- | --- | --- |",
            *(f"| `{path.rpartition('.')[2]}` | {settings[path][1] or settings[path][0]} | {value(root, path)} | "
              f"{MEANINGS[path]} |" for path in rows), ""]))
    if lost := {path.rpartition(".")[0] for path in settings} - set(SECTIONS):
        raise Problem(f"sections of no place: {lost}")
    return "\n".join(parts)
