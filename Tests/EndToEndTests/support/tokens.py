"""Calls about tokens, and with them."""

import grpc
import pytest

from . import api
from .client import Failure, failure

tokens = api.tokens


def bearer(token: str) -> dict:
    return {"metadata": [("authorization", f"Bearer {token}")], "timeout": 20}


def who(client, token: str):
    return client.identity.WhoAmI(api.identity.WhoAmIRequest(), **bearer(token))


def refused(client, token: str, code: str = "UNAUTHENTICATED") -> str:
    """Why a call with the token is refused, over and over again alike."""
    first = failure(code, who, client, token)
    assert failure(code, who, client, token).reason == first.reason
    return first.reason


def issue(client, parent: str, subject: str, **fields):
    return client.tokens.IssueToken(
        tokens.IssueTokenRequest(parent=parent, subject=subject, **fields), timeout=20)


def exchange(client, token: str = "", carried: str = "", **fields):
    metadata = [("authorization", f"Bearer {carried}")] if carried else []
    return client.tokens.ExchangeToken(
        tokens.ExchangeTokenRequest(subject_token=token, **fields), timeout=20, metadata=metadata)


def introspect(client, token: str, **fields):
    return client.tokens.IntrospectToken(
        tokens.IntrospectTokenRequest(token=token, **fields), timeout=20)


def revoke(client, parent: str, **fields):
    return client.tokens.RevokeTokens(
        tokens.RevokeTokensRequest(parent=parent, **fields), timeout=20)


def keys(client, parent: str):
    return client.tokens.GetJsonWebKeySet(
        tokens.GetJsonWebKeySetRequest(parent=parent), timeout=20)


def get(client, name: str, token: str):
    return client.manager.GetTenant(api.manager.GetTenantRequest(name=name), **bearer(token))


def denials(client, chain: str) -> set:
    request = api.audit.ListAuditRecordsRequest(parent=chain, page_size=500)
    records = client.audit.ListAuditRecords(request, timeout=20).records
    return {(record.action, record.reason) for record in records
            if record.decision == api.audit.AUDIT_DECISION_DENIED}


def failure_of(client, token: str) -> str:
    """Why a call with the token is refused, whatever that is."""
    with pytest.raises(grpc.RpcError) as caught:
        who(client, token)
    return Failure.of(caught.value).reason
