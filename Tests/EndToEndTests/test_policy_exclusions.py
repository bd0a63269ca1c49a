"""Separation of duties at random: whatever is done, in whatever order, no subject holds two roles that exclude each
other, as counted by the test; and nothing is refused without reason."""

import copy
import os
import random as randomness

import grpc
import pytest

from support import api
from support.client import Failure

authz = api.authz
SEED = int(os.environ.get("TENANCY_SEED", 1))
STEPS = int(os.environ.get("TENANCY_EXCLUSION_STEPS", 1_500))
ROLES = [f"r{number}" for number in range(6)]
GROUPS = ["g0", "g1", "g2"]
KINDS = ["role", "role", "update", "update", "delete", "assign", "assign", "assign", "unassign", "join", "leave"]
SUBJECTS = ["user:al", "user:bo", "user:cy"]


class State:
    """What was accepted."""

    def __init__(self):
        self.roles: dict[str, tuple[frozenset, frozenset]] = {}
        """Parents and excluded roles."""
        self.assignments: dict[tuple[str, str], str] = {}
        """Names by subject and role."""
        self.members: dict[tuple[str, str], str] = {}

    def closure(self, role: str) -> set[str]:
        found, left = set(), [role]
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += self.roles[one][0]
        return found

    def family(self, subject: str) -> set[str]:
        """It and the groups that it is in."""
        found, left = set(), [subject]
        while left:
            one = left.pop()
            if one not in found:
                found.add(one)
                left += [f"group:{group}" for member, group in self.members if member == one]
        return found

    def excludes(self, roles: set[str]) -> bool:
        return any(other in roles for one in roles for other in self.roles[one][1])

    def wrong(self) -> str:
        """Why this may not be."""
        exclusive = {role for role, (_, excluded) in self.roles.items() if excluded}.union(
            *(excluded for _, excluded in self.roles.values()))
        for role in self.roles:
            if any(role in self.closure(parent) for parent in self.roles[role][0]):
                return "cycle"
            if self.excludes(self.closure(role)):
                return f"family of {role}"
        for subject, role in self.assignments:
            if subject.startswith("group:") and self.closure(role) & exclusive:
                return f"{subject} holds {role}"
        for subject in {subject for subject, _ in self.assignments} | {member for member, _ in self.members}:
            held = {role for of, role in self.assignments if of in self.family(subject)}
            if self.excludes(set().union(*(self.closure(role) for role in held))):
                return f"{subject} holds {sorted(held)}"
        return ""


class Story:
    """Does random things, each with what it would make of the state."""

    def __init__(self, client, tenant: str, random):
        self.client, self.tenant, self.random, self.state = client, tenant, random, State()

    def some(self, of, most: int) -> frozenset:
        return frozenset(self.random.sample(of, min(len(of), self.random.choice([0, 0, *range(most + 1)]))))

    def step(self):
        """A call, and the state behind it; nothing if there is nothing to do it with."""
        random, after, client = self.random, copy.deepcopy(self.state), self.client
        roles = sorted(self.state.roles)
        kind = random.choice(KINDS)
        subject = random.choice(SUBJECTS + [f"group:{group}" for group in GROUPS])
        if kind == "role":
            role = random.choice(ROLES)
            if role in roles:
                return None, after
            parents, excluded = after.roles[role] = self.some(roles, 2), self.some(roles, 2)
            return lambda: client.role(
                self.tenant, role, "docs:read", parents=parents, excluded_roles=excluded), after
        if kind == "join":
            group = random.choice(GROUPS)
            name = f"group:{group}"
            if (subject, group) in after.members or name in after.family(subject) or subject in after.family(name):
                return None, after
            after.members[subject, group] = ""
            return lambda: after.members.__setitem__(
                (subject, group), client.join(self.tenant, group, subject).name), after
        if kind == "leave" and after.members:
            name = after.members.pop(random.choice(sorted(after.members)))
            return lambda: client.leave(name), after
        if kind == "unassign" and after.assignments:
            name = after.assignments.pop(random.choice(sorted(after.assignments)))
            return lambda: client.authz.DeleteRoleAssignment(
                authz.DeleteRoleAssignmentRequest(name=name), timeout=20), after
        if not roles or kind in ("leave", "unassign"):
            return None, after
        role = random.choice(roles)
        if kind == "update":
            field = random.choice([0, 1])
            values = self.some([one for one in roles if one != role], 2)
            after.roles[role] = (values, after.roles[role][1]) if field == 0 else (after.roles[role][0], values)
            name = ("parents", "excluded_roles")[field]
            return lambda: client.authz.UpdateRole(authz.UpdateRoleRequest(
                role=authz.Role(name=f"{self.tenant}/roles/{role}", **{name: values}),
                update_mask={"paths": [name]}), timeout=20), after
        if kind == "delete":
            del after.roles[role]
            if any(role in parents | excluded for parents, excluded in after.roles.values()):
                return None, after
            after.assignments = {key: name for key, name in after.assignments.items() if key[1] != role}
            return lambda: client.authz.DeleteRole(
                authz.DeleteRoleRequest(name=f"{self.tenant}/roles/{role}", force=True), timeout=20), after
        if (subject, role) in after.assignments:
            return None, after
        after.assignments[subject, role] = ""
        bounds = random.choice([{}, {"resource": "docs/7"}, {"condition": "context.mfa"}])
        return lambda: after.assignments.__setitem__(
            (subject, role), client.assign(self.tenant, subject, role, **bounds).name), after


@pytest.mark.parametrize("number", range(3))
def test_no_subject_holds_two_roles_that_exclude_each_other(admin, slug, number):
    random = randomness.Random(f"{SEED} {number}")
    tenant = admin.active(slug).name
    for group in GROUPS:
        admin.group(tenant, group)
    story, refused, done = Story(admin, tenant, random), 0, 0
    for _ in range(STEPS // 3):
        call, after = story.step()
        if call is None:
            continue
        wrong = after.wrong()
        try:
            call()
            assert not wrong, (wrong, vars(after))
            story.state = after
            done += 1
        except grpc.RpcError as error:
            refusal = Failure.of(error)
            assert wrong, (refusal.message, vars(after))
            assert refusal.reason in ("ROLES_EXCLUDED", "ROLE_CYCLE") or (
                refusal.fields and refusal.fields[0].startswith(("role.excluded_roles", "role.parents"))), refusal
            refused += 1
    assert done > STEPS / 10 and refused > STEPS / 120, (done, refused)
    print(f"{done} steps done, {refused} refused")
