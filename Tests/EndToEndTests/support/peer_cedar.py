"""Random policies for Cedar, and the same for tenantd.

Shared: users, nested groups, roles that inherit (in Cedar: entities that others are `in`), permissions with wildcards,
permit and forbid, what is of a type, of one resource and of those below one, and conditions on attributes of the
subject, the resource and the context.

Left out, because it differs on purpose:
- A condition that fails: Cedar passes its policy over, whether it permits or forbids; with tenantd it denies where it
  forbids. Here conditions of what denies ask with `has` before they look.
- `&&` and `||` whose first operand fails: Cedar fails, CEL looks at the second. Here what may fail is never below `||`,
  `!` of more than itself, or `?:`.
- Numbers that are no integers, or large: Cedar has none.
- Questions without a resource: Cedar has none.
"""

import json
from dataclasses import dataclass, field

import cedarpy

from . import api

authz = api.authz
KINDS, ACTIONS = ["docs", "bills"], ["read", "edit", "drop"]
PATHS = ["a", "a/b", "a/b/c", "ab", "d", "d/é"]
USERS = [f"user:{name}" for name in ("al", "bo", "cy", "di")]
TEXTS = ["", "ops", "oops", "legal", "é", "e\u0301"]
ROLE = "Role"


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def entity(kind: str, name: str) -> dict:
    return {"type": kind, "id": name}


@dataclass
class Assignment:
    subject: str
    role: str
    resource: str = ""
    condition: str = ""
    cedar: str = ""
    """The same condition for Cedar."""


@dataclass
class Policy:
    roles: dict[str, tuple[list[str], list[str], list[str]]] = field(default_factory=dict)
    """Permissions, denials and parents."""
    groups: list[str] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    users: dict[str, dict] = field(default_factory=dict)
    """Attributes of users."""
    resources: dict[tuple[str, str], dict] = field(default_factory=dict)

    def closure(self, role: str) -> set[str]:
        return {role}.union(*(self.closure(parent) for parent in self.roles[role][2]))


class Conditions:
    """Makes conditions as pairs of texts: CEL and Cedar."""

    NUMBERS = [("subject.attributes.level", "principal", "level"), ("resource.attributes.level", "resource", "level"),
               ("context.level", "context", "level")]
    TEXTS = [("subject.attributes.team", "principal", "team"), ("resource.attributes.owner", "resource", "owner")]
    FLAGS = [("context.mfa", "context", "mfa"), ("resource.attributes.open", "resource", "open")]

    def __init__(self, random):
        self.random = random

    def number(self, of):
        value = self.random.randint(-2, 5)
        return self.random.choice([f"{value}", f"{value}.0"]), f"{value}", None

    def operand(self, kinds):
        cel, owner, name = self.random.choice(kinds)
        return cel, f"{owner}.{name}", (f"has({cel})", f"{owner} has {name}")

    def atom(self):
        """CEL, Cedar, and what it looks at, each as a question whether it is there."""
        random = self.random
        match random.randint(0, 10):
            case 0 | 1 | 2:
                first = self.operand(self.NUMBERS)
                second = self.operand(self.NUMBERS) if random.random() < 0.4 else self.number(random)
                sign = random.choice(["<", "<=", ">", ">=", "==", "!="])
                if random.random() < 0.2:
                    third = self.operand(self.NUMBERS)
                    sum_ = random.choice("+-*")
                    first = (f"{first[0]} {sum_} {third[0]}", f"{first[1]} {sum_} {third[1]}", first[2], third[2])
                return f"{first[0]} {sign} {second[0]}", f"{first[1]} {sign} {second[1]}", [*first[2:], second[2]]
            case 3:
                first, sign = self.operand(self.TEXTS), random.choice(["==", "!="])
                other = random.choice([("subject.id", "principal.name"), (text(random.choice(TEXTS)),) * 2])
                return f"{first[0]} {sign} {other[0]}", f"{first[1]} {sign} {other[1]}", [first[2]]
            case 4:
                first, piece = self.operand(self.TEXTS), random.choice(["o", "op", "é", "", "s"])
                call, like = random.choice([("startsWith", f"{piece}*"), ("endsWith", f"*{piece}"),
                                            ("contains", f"*{piece}*")])
                return f"{first[0]}.{call}({text(piece)})", f"{first[1]} like {text(like)}", [first[2]]
            case 5:
                first = self.operand(self.TEXTS)
                names = ", ".join(text(one) for one in random.sample(TEXTS, random.choice([1, 2, 6])))
                return f"{first[0]} in [{names}]", f"[{names}].contains({first[1]})", [first[2]]
            case 6:
                tags = ("subject.attributes.tags", "principal.tags",
                        ("has(subject.attributes.tags)", "principal has tags"))
                name = text(random.choice(TEXTS))
                return f"{name} in {tags[0]}", f"{tags[1]}.contains({name})", [tags[2]]
            case 7:
                kind, action, path = random.choice(KINDS), random.choice(ACTIONS), text(random.choice(PATHS))
                return random.choice([
                    (f"resource.type == {text(kind)}", f"resource is {kind}", []),
                    (f"action != {text(action)}", f'action != Action::"{action}"', []),
                    (f"resource.id == {path}", f"resource.path == {path}", [])])
            case 8:
                return *self.operand(self.NUMBERS + self.TEXTS)[2], []
            case _:
                return (lambda first: (first[0], first[1], [first[2]]))(self.operand(self.FLAGS))

    def sure(self, depth: int):
        """One that never fails."""
        random = self.random
        if depth == 0 or random.random() < 0.2:
            cel, cedar, needs = self.atom()
            cel, cedar = f"({cel})", f"({cedar})"
            for has in filter(None, needs):
                cel, cedar = f"{has[0]} && {cel}", f"{has[1]} && {cedar}"
            return f"({cel})", f"({cedar})"
        one, other = self.sure(depth - 1), self.sure(depth - 1)
        match random.randint(0, 5):
            case 0:
                return f"!{one[0]}", f"!{one[1]}"
            case 1:
                third = self.sure(depth - 1)
                return (f"({third[0]} ? {one[0]} : {other[0]})",
                        f"(if {third[1]} then {one[1]} else {other[1]})")
            case 2 | 3:
                return f"({one[0]} && {other[0]})", f"({one[1]} && {other[1]})"
            case _:
                return f"({one[0]} || {other[0]})", f"({one[1]} || {other[1]})"

    def any(self):
        """One that may fail where it needs not deny."""
        parts = []
        for _ in range(self.random.randint(1, 3)):
            if self.random.random() < 0.3:
                parts.append(self.sure(2))
            else:
                cel, cedar, _ = self.atom()
                no = "!" if self.random.random() < 0.2 else ""
                parts.append((f"{no}({cel})", f"{no}({cedar})"))
        return tuple(" && ".join(part[side] for part in parts) for side in (0, 1))


def some(random, elements, most: int) -> list:
    return random.sample(elements, min(len(elements), random.randint(0, most)))


def present(random, attributes: dict) -> dict:
    return {name: value for name, value in attributes.items() if random.random() < 0.8}


def permission(random) -> str:
    kind, action = random.choice(KINDS), random.choice(ACTIONS)
    return f"{'*' if random.random() < 0.2 else kind}:{'*' if random.random() < 0.2 else action}"


def policy(random) -> Policy:
    made = Policy()
    for number in range(random.randint(3, 8)):
        permissions = sorted({permission(random) for _ in range(random.randint(0, 3))})
        denied = sorted({permission(random)}) if random.random() < 0.25 else []
        made.roles[f"r{number}"] = permissions, denied, some(random, list(made.roles), 2)
    for number in range(random.randint(0, 5)):
        group = f"g{number}"
        made.members += [(f"group:{inner}", group) for inner in some(random, made.groups, 2)]
        made.groups.append(group)
    for user in USERS:
        made.members += [(user, group) for group in some(random, made.groups, 2)]
        made.users[user] = present(random, {
            "level": random.randint(-2, 5), "team": random.choice(TEXTS), "tags": some(random, TEXTS, 3)})
    for kind in KINDS:
        for path in PATHS:
            made.resources[kind, path] = present(random, {
                "level": random.randint(-2, 5), "owner": random.choice([*TEXTS, *USERS]),
                "open": random.random() < 0.5})
    conditions, keys = Conditions(random), set()
    for subject in USERS + [f"group:{group}" for group in made.groups]:
        for role in random.choices(list(made.roles), k=random.randint(0, 4)):
            kind, path = random.choice(KINDS), random.choice(PATHS)
            resource = random.choice(["", "", kind, f"{kind}/{path}", f"{kind}/{path}/*"])
            denies = any(made.roles[one][1] for one in made.closure(role))
            cel, cedar = "", ""
            if random.random() < 0.6:
                cel, cedar = conditions.sure(random.randint(0, 3)) if denies else conditions.any()
            if (subject, role, resource, cel) not in keys:
                keys.add((subject, role, resource, cel))
                made.assignments.append(Assignment(subject, role, resource, cel, cedar))
    return made


def head(effect: str, principal: str, permission: str) -> str:
    kind, action = permission.split(":")
    action = "action" if action == "*" else f'action == Action::"{action}"'
    return f"{effect}({principal}, {action}, {'resource' if kind == '*' else f'resource is {kind}'})"


def scope(resource: str) -> str:
    """What it is of, as a condition."""
    kind, _, path = resource.partition("/")
    if not path:
        return f"resource is {kind}"
    if path.endswith("/*"):
        above = f"{kind}::{text(path[:-2])}"
        return f"resource in {above} && resource != {above}"
    return f"resource == {kind}::{text(path)}"


def cedar_entity(subject: str) -> dict:
    return entity("Group" if subject.startswith("group:") else "User", subject)


class Engine:
    """Cedar with one policy."""

    def __init__(self, policy: Policy):
        rules, parents = [], {}
        sides = ("permit", "forbid")
        for role, (*permissions, inherited) in policy.roles.items():
            parents[ROLE, role] = [entity(ROLE, one) for one in inherited]
            rules += [f'{head(sides[side], f"principal in Role::{text(role)}", one)};'
                      for side in (0, 1) for one in permissions[side]]
        for subject in [*policy.users, *(f"group:{group}" for group in policy.groups)]:
            parents[tuple(cedar_entity(subject).values())] = [
                entity("Group", f"group:{group}") for member, group in policy.members if member == subject]
        for one in policy.assignments:
            who = cedar_entity(one.subject)
            if not one.resource and not one.condition:
                parents[tuple(who.values())].append(entity(ROLE, one.role))
                continue
            when = (f" when {{ {scope(one.resource)} }}" if one.resource else "") + (
                f" when {{ {one.cedar} }}" if one.condition else "")
            for role in policy.closure(one.role):
                rules += [head(sides[side], f"principal in {who['type']}::{text(one.subject)}", permission) + when + ";"
                          for side in (0, 1) for permission in policy.roles[role][side]]
        entities = [{"uid": entity(*uid), "parents": above,
                     "attrs": policy.users.get(uid[1], {}) | {"name": uid[1]}} for uid, above in parents.items()]
        for (kind, path), attributes in policy.resources.items():
            above = path.rpartition("/")[0]
            entities.append({"uid": entity(kind, path), "attrs": attributes | {"path": path},
                             "parents": [entity(kind, above)] if above else []})
        self.text = "\n".join(rules)
        self.policies = cedarpy.PolicySet.from_str(self.text)
        self.entities = cedarpy.Entities.from_json_str(json.dumps(entities))

    def answers(self, questions) -> list[bool]:
        return [result.allowed for result in cedarpy.is_authorized_batch(
            [{"principal": cedar_entity(user), "action": entity("Action", action),
              "resource": entity(kind, path), "context": context} for user, kind, path, action, context in questions],
            self.policies, self.entities)]


def questions(random, count: int) -> list[tuple]:
    return [(random.choice(USERS), random.choice(KINDS), random.choice(PATHS), random.choice(ACTIONS),
             present(random, {"mfa": random.random() < 0.5, "level": random.randint(-2, 5)})) for _ in range(count)]


def item(policy: Policy, question: tuple):
    user, kind, path, action, context = question
    made = authz.BatchCheckItem(subject=user, permission=f"{kind}:{action}", resource=path)
    for name, values in (("subject", policy.users[user]), ("resource", policy.resources[kind, path]),
                         ("context", context)):
        sent = getattr(made.attributes, name)
        sent.SetInParent()  # A map without elements is another thing than none.
        sent.update(values)
    return made
