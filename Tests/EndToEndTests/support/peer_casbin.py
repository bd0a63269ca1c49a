"""Random policies in Casbin's RBAC with domains, and the same for tenantd.

Shared: users, nested groups, roles that inherit, permissions with wildcards, denials that win, and tenants, which are
domains. Not Casbin's: resources of assignments, conditions and ends.
"""

import logging
from dataclasses import dataclass, field

import casbin
from casbin.rbac.default_role_manager import DomainManager

MODEL = """
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act, eft
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.dom == p.dom && (p.obj == "*" || r.obj == p.obj) && (p.act == "*" || r.act == p.act) && g(r.sub, p.sub, r.dom)
"""
# Casbin follows ten levels unless told; tenantd's groups and roles may be eight deep each.
LEVELS = 32
KINDS, ACTIONS = ["docs", "bills", "x-1.y"], ["read", "edit", "a_b"]
USERS = [f"user:{name}" for name in ("al", "bo", "cy", "di")]
logging.getLogger("casbin").setLevel(logging.ERROR)


@dataclass
class Domain:
    """What is made in one tenant. Parents have smaller numbers than what inherits, so that there are no cycles."""

    roles: dict[str, tuple[list[str], list[str], list[str]]] = field(default_factory=dict)
    """Permissions, denials and parents."""
    groups: list[str] = field(default_factory=list)
    members: list[tuple[str, str]] = field(default_factory=list)
    """Who is a member of which group."""
    assignments: list[tuple[str, str]] = field(default_factory=list)

    def rules(self):
        """The same as lines of Casbin."""
        for role, (allowed, denied, parents) in self.roles.items():
            for permissions, effect in ((allowed, "allow"), (denied, "deny")):
                for permission in permissions:
                    yield "p", role, *permission.split(":"), effect
            for parent in parents:
                yield "g", role, parent
        for member, group in self.members:
            yield "g", member, f"group:{group}"
        for subject, role in self.assignments:
            yield "g", subject, role


def permission(random, wild: float) -> str:
    kind, action = random.choice(KINDS), random.choice(ACTIONS)
    return f"{'*' if random.random() < wild else kind}:{'*' if random.random() < wild else action}"


def some(random, elements, most: int) -> list:
    return random.sample(elements, min(len(elements), random.randint(0, most)))


def domain(random) -> Domain:
    made = Domain()
    for number in range(random.randint(1, 7)):
        allowed = sorted({permission(random, 0.2) for _ in range(random.randint(0, 2))})
        denied = sorted({permission(random, 0.1) for _ in range(random.choice([0, 0, 0, 1]))})
        made.roles[f"r{number}"] = allowed, denied, some(random, list(made.roles), random.choice([1, 2]))
    for number in range(random.randint(0, 6)):
        group = f"g{number}"
        for inner in some(random, made.groups, 2):
            made.members.append((f"group:{inner}", group))
        made.groups.append(group)
    for user in USERS:
        made.members += [(user, group) for group in some(random, made.groups, 2)]
    for subject in USERS + [f"group:{group}" for group in made.groups]:
        made.assignments += [(subject, role) for role in some(random, list(made.roles), 2)]
    return made


def questions(of: Domain):
    for subject in USERS + [f"group:{group}" for group in of.groups] + ["user:nobody"]:
        for kind in [*KINDS, "other"]:
            for action in [*ACTIONS, "other"]:
                yield subject, kind, action


def enforcer(domains: dict[str, Domain]):
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    made = casbin.Enforcer(model)
    made.set_role_manager(DomainManager(LEVELS))
    for name, of in domains.items():
        for kind, *rule in of.rules():
            rule.insert(1 if kind == "p" else 2, name)
            assert (made.add_policy if kind == "p" else made.add_grouping_policy)(*rule), rule
    return made
