"""Answers against those of other engines, about random policies: Casbin, Cedar, and conditions in two CELs.

TENANCY_PEER_CASES sets how many questions each comparison asks, TENANCY_SEED the policies.
"""

import re
from collections import Counter

import grpc

from support import api, cel_expressions, peer_casbin, peer_cedar, peer_cel
from support.client import Failure
from support.peers import Comparison, ask, made, together

authz = api.authz


def test_casbin(admin):
    comparison = Comparison("casbin", (True, False))
    for random in comparison.more():
        domains = {f"casbin-{comparison.rounds}-{number}": peer_casbin.domain(random) for number in range(3)}
        enforcer = peer_casbin.enforcer(domains)
        for name, domain in domains.items():
            tenant = admin.active(name).name
            for role, (allowed, denied, parents) in domain.roles.items():
                admin.role(tenant, role, *allowed, denied_permissions=denied, parents=parents)
            made([lambda group=group: admin.group(tenant, group) for group in domain.groups])
            made([lambda one=one: admin.join(tenant, one[1], one[0]) for one in domain.members])
            made([lambda one=one: admin.assign(tenant, *one) for one in domain.assignments])
            asked = list(peer_casbin.questions(domain))
            ours = ask(admin, tenant, [authz.BatchCheckItem(subject=subject, permission=f"{kind}:{action}")
                                       for subject, kind, action in asked])
            for (subject, kind, action), answer in zip(asked, ours, strict=True):
                comparison.compare(answer, enforcer.enforce(subject, name, kind, action),
                                   lambda: f"{subject} {kind}:{action} of {domain}")
    comparison.end()


def explained(admin, tenant: str, item, allowed: bool) -> None:
    """Explain answers as Check does, and by what decides: what applies."""
    told = admin.authz.Explain(authz.ExplainRequest(
        tenant=tenant, subject=item.subject, permission=item.permission, resource=item.resource,
        attributes=item.attributes), timeout=20)
    assert told.answer.allowed == allowed, item
    applies = [step for step in told.steps if step.outcome == authz.STEP_OUTCOME_APPLIES]
    denies = any(step.denies for step in applies)
    reason = (authz.DECISION_REASON_DENIED if denies else authz.DECISION_REASON_ROLE if applies
              else authz.DECISION_REASON_NO_GRANT)
    assert told.answer.reason == reason and not told.truncated, (item, told)
    if applies:
        # One of those that decide it is named.
        assert told.answer.role in {step.role_path[0] for step in applies if step.denies == denies}, (item, told)


EXPLAINED = 5


def test_cedar(admin):
    comparison = Comparison("cedar", (True, False))
    for random in comparison.more():
        policy = peer_cedar.policy(random)
        tenant = admin.active(f"cedar-{comparison.rounds}").name
        for role, (allowed, denied, parents) in policy.roles.items():
            admin.role(tenant, role, *allowed, denied_permissions=denied, parents=parents)
        made([lambda group=group: admin.group(tenant, group) for group in policy.groups])
        made([lambda one=one: admin.join(tenant, one[1], one[0]) for one in policy.members])
        results = together([lambda one=one: admin.assign(
            tenant, one.subject, one.role, resource=one.resource, condition=one.condition)
            for one in policy.assignments])
        refusals = [result for result in results if isinstance(result, grpc.RpcError)]
        # Cedar takes conditions of any cost.
        assert all("could cost" in refusal.details() for refusal in refusals), refusals
        policy.assignments = [one for one, result in zip(policy.assignments, results)
                              if not isinstance(result, grpc.RpcError)]
        engine = peer_cedar.Engine(policy)
        # Attributes of each question are sent with it, and fields of a request are limited.
        for _ in range(4):
            asked = peer_cedar.questions(random, 50)
            ours = ask(admin, tenant, [peer_cedar.item(policy, question) for question in asked])
            for question, answer, theirs in zip(asked, ours, engine.answers(asked), strict=True):
                comparison.compare(answer, theirs, lambda: f"{question} of {policy}\n{engine.text}")
            for question, answer in list(zip(asked, ours))[:EXPLAINED]:
                explained(admin, tenant, peer_cedar.item(policy, question), answer)
    comparison.end()


EXPRESSIONS, QUESTIONS = 100, 20
# What would cost too much, and constants that could only fail.
REFUSALS = re.compile("could cost|this text is no|a key is there twice")
# What an assignment under a condition allows, and whether what it denies is open.
OUTCOMES = {(True, False): True, (False, True): False, (False, False): None}


def taken(admin, tenants: list[str], random):
    """Makes random conditions; those that are taken, each with its subject and the corners that it has.

    - `tenants`: in the first a subject may what its condition allows; in the second all but what its condition denies.
    """
    expressions = []
    for _ in range(EXPRESSIONS):
        peers = random.choice([("python", "rust"), ("python",), ("rust",)])
        maker = cel_expressions.Maker(random, set().union(*(peer_cel.APART[peer] for peer in peers)))
        expressions.append((maker.source(random.randint(1, 4)), maker.used))
    subjects = [f"user:{number}" for number in range(EXPRESSIONS)]
    made([lambda subject=subject: admin.assign(tenants[1], subject, "open") for subject in subjects])
    results = together([lambda tenant=tenant, subject=subject, source=source: admin.assign(
        tenant, subject, "conditional", condition=source)
        for tenant in tenants for subject, (source, _) in zip(subjects, expressions)])
    found = []
    for subject, (source, corners), *both in zip(subjects, expressions, results, results[EXPRESSIONS:]):
        refusals = [Failure.of(one) for one in both if isinstance(one, grpc.RpcError)]
        for refusal in refusals:
            assert refusal.reason == "INVALID_CONDITION" and REFUSALS.search(refusal.message), (source, refusal)
        assert len(refusals) in (0, 2), source
        if not refusals:
            found.append((subject, source, corners))
    return found


def test_conditions(admin):
    comparison = Comparison("cel", (True, False, None))
    asked, refused = Counter(), 0
    for random in comparison.more():
        tenants = [admin.active(f"cel-{comparison.rounds}-{kind}").name for kind in ("holds", "shut")]
        admin.role(tenants[0], "conditional", "docs:read")
        admin.role(tenants[1], "conditional", denied_permissions=["docs:read"])
        admin.role(tenants[1], "open", "docs:read")
        expressions = taken(admin, tenants, random)
        refused += EXPRESSIONS - len(expressions)
        programs = [{peer: engine.program(source) for peer, engine in peer_cel.ENGINES.items()
                     if not corners & peer_cel.APART[peer]} for _, source, corners in expressions]
        for number in range(QUESTIONS):
            parts, path = peer_cel.attributes(random), random.choice(["7", "é/b", ""])
            mistyped = number % 2 == 1
            if mistyped:
                parts = peer_cel.mistyped(random, parts)
            items = [authz.BatchCheckItem(subject=subject, permission="docs:read", resource=path)
                     for subject, _, _ in expressions]
            answers = zip(*(ask(admin, tenant, items, peer_cel.message(parts)) for tenant in tenants), strict=True)
            for (subject, source, _), of, answer in zip(expressions, programs, answers, strict=True):
                variables = peer_cel.variables(parts, subject, "docs:read", path)
                for peer in of.keys() - ({"python"} if mistyped else set()):
                    engine = peer_cel.ENGINES[peer]
                    theirs = engine.evaluate(of[peer], engine.values(variables))
                    comparison.compare(OUTCOMES.get(answer, answer), theirs,
                                       lambda: f"{peer}: {source!r} of {variables}")
                    asked[peer] += 1
    print(f"of these {dict(asked)}; {refused} conditions refused")
    # Most are taken: what is refused is compared with nothing.
    assert refused < comparison.rounds * EXPRESSIONS / 4
    comparison.end()
