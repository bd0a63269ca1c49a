"""What Envoy's filter ratelimit asks, and what it is answered."""

import json
from dataclasses import dataclass

from . import api

OK = api.rls.RateLimitResponse.OK
OVER = api.rls.RateLimitResponse.OVER_LIMIT


@dataclass(frozen=True)
class Ruling:
    """A RateLimitResponse, read as Envoy reads it."""

    answer: "api.rls.RateLimitResponse"

    @property
    def allowed(self) -> bool:
        # Envoy looks at nothing else.
        return self.answer.overall_code != OVER

    @property
    def headers(self) -> dict[str, str]:
        return {header.key: header.value for header in self.answer.response_headers_to_add}

    @property
    def reason(self) -> str:
        return json.loads(self.answer.raw_body)["error"]["reason"]

    @property
    def status(self):
        [status] = self.answer.statuses
        return status


def descriptor(tenant=None, limit=None, hits=None, lower=None, **entries):
    """- lower: requests and unit of a lower limit."""
    made = api.ratelimit.RateLimitDescriptor()
    if tenant is not None:
        made.entries.add(key="tenant", value=tenant)
    if limit is not None:
        made.entries.add(key="limit", value=limit)
    for key, value in entries.items():
        made.entries.add(key=key, value=value)
    if hits is not None:
        made.hits_addend.value = hits
    if lower is not None:
        made.limit.requests_per_unit, made.limit.unit = lower[0], getattr(api.ratelimit_unit, lower[1])
    return made


def ask(client, *descriptors, domain="tenancy", hits=0) -> Ruling:
    """A request with these descriptors, or the names of tenants."""
    request = api.rls.RateLimitRequest(domain=domain, hits_addend=hits, descriptors=[
        descriptor(one) if isinstance(one, str) else one for one in descriptors])
    answer = client.rate_limits.ShouldRateLimit(request, timeout=20)
    assert answer.overall_code in (OK, OVER), "an answer that Envoy takes for a yes"
    assert len(answer.statuses) == len(request.descriptors)
    return Ruling(answer)


def flood(client, count: int, *descriptors) -> int:
    """How many of so many requests are let through."""
    return sum(ask(client, *descriptors).allowed for _ in range(count))
