"""HTTP requests as Envoy's filter ext_authz tells of them, and what it is answered."""

import json
from dataclasses import dataclass

from google.protobuf import json_format

from . import api


def percent_encoded(certificate: bytes) -> str:
    """PEM as Envoy passes it on: what is not a letter, a digit or any of `-._~` is escaped."""
    return "".join(chr(byte) if chr(byte).isalnum() or chr(byte) in "-._~" else f"%{byte:02X}"
                   for byte in certificate)


@dataclass(frozen=True)
class Verdict:
    """A CheckResponse, read as Envoy reads it."""

    answer: "api.ext_authz.CheckResponse"

    @property
    def allowed(self) -> bool:
        # Envoy looks at nothing else.
        return self.answer.status.code == 0

    @property
    def status(self) -> int:
        return self.answer.denied_response.status.code

    @property
    def reason(self) -> str:
        return json.loads(self.answer.denied_response.body)["error"]["reason"]

    @property
    def headers(self) -> dict[str, str]:
        part = self.answer.ok_response if self.allowed else self.answer.denied_response
        for option in part.headers:
            assert option.HasField("append") and not option.append.value, "must overwrite"
            assert not option.header.raw_value
        return {option.header.key: option.header.value for option in part.headers}

    @property
    def removed(self) -> set[str]:
        return set(self.answer.ok_response.headers_to_remove)

    @property
    def metadata(self) -> dict:
        return json_format.MessageToDict(self.answer.dynamic_metadata)


def request(method="GET", path="/orders", host="shop.example", headers=None, certificate=None,
            raw=False, address="203.0.113.7") -> "api.ext_authz.CheckRequest":
    message = api.ext_authz.CheckRequest()
    message.attributes.source.address.socket_address.address = address
    http = message.attributes.request.http
    http.method, http.path, http.host = method, path, host
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
    for name, value in [(":method", method), (":path", path), (":authority", host), *pairs]:
        if raw:
            http.header_map.headers.add(key=name, raw_value=value.encode())
        else:
            # Envoy joins what is repeated.
            joined = http.headers.get(name)
            http.headers[name] = value if joined is None else f"{joined},{value}"
    if certificate is not None:
        message.attributes.source.certificate = percent_encoded(certificate.certificate)
    return message


def check(client, method="GET", path="/orders", token=None, **given) -> Verdict:
    headers = given.pop("headers", None) or {}
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if token is not None:
        pairs.append(("authorization", f"Bearer {token}"))
    return judged(client, request(method, path, headers=pairs, **given))


def judged(client, message) -> Verdict:
    answer = client.ext_authz.Check(message, timeout=10)
    # An empty one, and a denial whose status is 0, would let the request through.
    assert answer.WhichOneof("http_response") == (
        "denied_response" if answer.status.code else "ok_response")
    return Verdict(answer)
