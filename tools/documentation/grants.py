"""The table of who may call which method: what the methods declare, and what the roles that come with the server have."""

import re
from pathlib import Path

from .articles import Problem

SERVICE = re.compile(r"^service (\w+) \{\n(.*?)^\}", re.M | re.S)
METHOD = re.compile(r"^  rpc (\w+)\([^{]*\{\s*option \(authorization\) = \{([^}]*)\}", re.M)
PERMISSION = re.compile(r'"(tenancy\.[a-z_]+:(?:[a-z_]+|\*))"')
RULES = Path("Sources/TenancyServer/Identity/IdentityRules.swift")
BUILT_IN = Path("Sources/Tenancy/Authorization/BuiltInRoles.swift")
PLATFORM = re.compile(r'^    "([a-z]+)": (everything|permissions\(\[.*?\]\)),$', re.M | re.S)
TENANT = re.compile(r'make\(\s*\d+, "([a-z-]+)", "[^"]*",\s*"[^"]*",\s*(\[.*?\])\)', re.S)


def methods(root: Path) -> list[tuple[str, str, str]]:
    """Each with its permission, which is empty for some, and the scope that it is needed in."""
    found = []
    for file in sorted((root / "proto/tenancy/v1").glob("*.proto")):
        text = file.read_text()
        for service, body in SERVICE.findall(text):
            for method, option in METHOD.findall(body):
                permission, scope = PERMISSION.search(option), re.search(r"scope: SCOPE_(\w+)", option)
                found.append((f"{service}/{method}", permission[1] if permission else "", scope[1].lower()))
            if len(METHOD.findall(body)) != len(re.findall(r"^  rpc ", body, re.M)):
                raise Problem(f"{file}: methods of {service} are not as this reads them")
    return found


def roles(root: Path) -> dict[str, set[str]]:
    """What roles that come with the server have, those of the platform first."""
    text = (root / RULES).read_text()
    everything = _permissions(text.split("private static let everything = ")[1].split("])")[0])
    declared = text.split("defaultPlatformRoles: [String: [Permission]] = [")[1].split("\n  ]\n")[0]
    # Two on a line.
    declared = re.sub(r'(everything), "', r'\1,\n    "', declared)
    found = {name: everything if value == "everything" else _permissions(value)
             for name, value in PLATFORM.findall(declared)}
    found["a tenant's workload"] = _permissions(
        text.split("let defaultWorkloadPermissions = ")[1].split("])")[0])
    for name, value in TENANT.findall((root / BUILT_IN).read_text()):
        found[name] = _permissions(value)
    if not {"admin", "operator", "viewer", "resolver", "tenant-admin", "tenant-viewer"} <= set(found):
        raise Problem("the roles that come with the server are not as this reads them")
    return found


def _permissions(text: str) -> set[str]:
    return set(PERMISSION.findall(text))


def has(held: set[str], permission: str) -> bool:
    return permission in held or f"{permission.split(':')[0]}:*" in held


def table(root: Path) -> str:
    held = roles(root)
    same = [name for name in held if name != "operator"]  # It has what `admin` has.
    names = {"admin": "admin, operator"}
    lines = ["| method | permission | " + " | ".join(names.get(name, name) for name in same) + " |",
             "| --- " * (2 + len(same)) + "|"]
    if held["admin"] != held["operator"]:
        raise Problem("admin and operator have no longer the same")
    for method, permission, scope in methods(root):
        may = []
        for name in same:
            of_tenant = name.startswith("tenant-") or name.startswith("a tenant")
            if scope in ("self", "anonymous"):
                may.append("yes")
            else:
                may.append("yes" if has(held[name], permission) and not (of_tenant and scope == "platform") else "")
        asks = f"`{permission}`" if permission else {"self": "about oneself", "anonymous": "anybody"}[scope]
        lines.append(f"| {method} | {asks} | " + " | ".join(may) + " |")
    return "\n".join(lines) + "\n"
