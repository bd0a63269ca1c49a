"""tenantctl's commands about tokens and their keys, and calls that carry a token."""

import json

import pytest
from support.issuers import OutsideIssuer
from support.jose import Forger, encode, part
from tenantctl_process import Ctl, daemon, make_active, place
from test_tenantctl import fields, rows

__all__ = ["daemon", "place"]  # Fixtures.

LOCAL = Ctl()


@pytest.fixture
def admin(daemon):
    return daemon.over_unix()


@pytest.fixture
def acme(admin):
    return make_active(admin, "acme")


@pytest.fixture
def workload(daemon, acme):
    return daemon.over_tls("acme.dev")


@pytest.fixture
def keys(admin, acme, place):
    """A file with the public keys, of which there is one."""
    admin("keys", "rotate", "acme")
    file = place / "keys.json"
    file.write_text(admin("keys", "list", "acme", "--jwks"))
    return file


def bare(ctl, *arguments):
    text = ctl("token", *arguments, "--bare")
    assert text.count("\n") == 1
    return text


def test_issue_and_inspect(admin, acme, daemon):
    shown = fields(admin("token", "issue", "acme", "user:al", "--unbound", "--lifetime", "60"))
    claims = part(shown["Token"], 1)
    assert claims["jti"] == shown["Token id"] and claims["exp"] - claims["iat"] == 60
    assert "cnf" not in claims
    made = admin.json("token", "issue", "acme", "user:al", "--certificate",
                      str(daemon.pki / "acme.dev.pem"), "--audience", "a", "--audience", "b",
                      "--permission", "x:y")
    claims = part(made["token"], 1)
    assert (claims["aud"], claims["permissions"]) == (["a", "b"], ["x:y"]) and "cnf" in claims
    assert "certificate_sha256" in admin.error("token", "issue", "acme", "user:al")
    assert "lifetime" in admin.error(
        "token", "issue", "acme", "user:al", "--unbound", "--lifetime", "-1")
    assert "not both" in admin.error("token", "issue", "acme", "user:al", "--unbound",
                                     "--certificate", "x", code=64)
    assert "cannot open" in admin.error("token", "issue", "acme", "user:al", "--certificate", "/x")

    # What it claims, and what the server says of it.
    done = LOCAL.run("token", "inspect", "--output", "json", stdin=made["token"])
    assert json.loads(done.stdout) == {"header": part(made["token"], 0), "claims": claims}
    assert done.stderr == "Nothing of this was verified.\n"
    assert "jti" in LOCAL.run("token", "inspect", stdin=made["token"] + "\n").stdout
    found = admin.json("token", "inspect", "--server", "--audience", "b", stdin=made["token"])
    assert found["active"] and found["tokenId"] == made["tokenId"]
    shown = admin("token", "inspect", "--server", "--audience", "b", stdin=made["token"])
    assert {line.split()[0]: line.split()[-1] for line in shown.splitlines()}.items() >= {
        "Active:": "yes", "Tenant:": acme["name"], "Subject:": "user:al", "Permissions:": "x:y"}.items()
    assert admin("token", "inspect", "--server", stdin=made["token"], code=3) == "Active:  no\n"
    assert "for --server" in LOCAL.error("token", "inspect", "--audience", "x", code=64)


def test_calls_carry_a_token(workload, acme, place):
    file = place / "token"
    file.write_text(bare(workload, "exchange"))
    me = fields(workload("whoami", "--token", str(file)))
    assert me.items() >= {"Known by": "TOKEN", "Token id": part(file.read_text(), 1)["jti"]}.items()
    assert me["Token expires"].endswith("Z") and "Token id" not in fields(workload("whoami"))
    assert workload("tenant", "get", "acme", "--token", "-", stdin=file.read_text())
    assert workload("load", "--tenant", "acme", "--method", "resolve", "--duration", "0.2", "--warmup", "0",
                    "--token", str(file))
    narrow = bare(workload, "exchange", "--subject-token", str(file), "--permission",
                  "tenancy.roles:get", "--lifetime", "30")
    assert part(narrow, 1)["permissions"] == ["tenancy.roles:get"]
    file.write_text(narrow)
    workload.environment["TENANCY_TOKEN_FILE"] = str(file)
    assert workload("role", "get", "acme", "tenant-admin")
    assert "PERMISSION_MISSING" in workload.error("tenant", "get", "acme")

    forged = Forger(narrow.strip()).token()
    for text, said in ((forged, "UNAUTHENTICATED (TOKEN_SIGNATURE_INVALID)"), ("x", "(TOKEN_MALFORMED)")):
        file.write_text(text)
        refusal = workload.error("whoami")
        assert said in refusal and "hint: `tenantctl token inspect`" in refusal
    for text in ("a b\n", "a\nb\n", "ü", "x" * 8193, ""):
        file.write_text(text)
        assert "tenantctl: " in workload.error("whoami", code=64)


def test_somebody_elses_token(admin, acme, daemon, place):
    file = place / "token"
    made = admin.json("token", "issue", "acme", "user:al", "--certificate", str(daemon.pki / "acme.dev.pem"))
    file.write_text(made["token"])
    refusal = admin.error("whoami", "--token", str(file))
    assert "TOKEN_BINDING_MISMATCH" in refusal and "hint: --cert and --key must be those" in refusal


def test_revoke(admin, acme):
    def active(token):
        return admin.json("token", "inspect", "--server", stdin=token,
                          code=0 if token not in gone else 3).get("active", False)

    gone = set()
    one, two, three = (bare(admin, "issue", "acme", "user:al", "--unbound") for _ in range(3))
    assert active(one)
    assert admin("token", "revoke", "acme", "-", "--reason", "lost", stdin=one) == "revoked\n"
    gone.add(one)
    assert not active(one) and active(two)
    admin("token", "revoke", "acme", "--token-id", part(two, 1)["jti"])
    admin("token", "revoke", "acme", "--token-id", "-" + part(two, 1)["jti"][1:])  # as ids may begin
    gone.add(two)
    assert not active(two) and active(three)
    assert "expireTime" in admin.json("token", "revoke", "acme", "--subject", "user:al", "--yes")
    gone.add(three)
    assert not active(three)
    assert "expireTime" in admin.json("token", "revoke", "acme", "--all", "--yes")
    for targets in ([], ["x", "--all"], ["--subject", "a", "--token-id", "b"]):
        assert "Give one of" in admin.error("token", "revoke", "acme", *targets, code=64)
    assert "INVALID_ARGUMENT" in admin.error("token", "revoke", "acme", "-", stdin="x.y.z")


def test_keys(admin, acme, keys):
    [listed] = admin.json("keys", "list", "acme")["keys"]
    assert json.loads(keys.read_text())["keys"][0]["kid"] == listed["id"]
    rotated = fields(admin("keys", "rotate", "acme", "--algorithm", "EdDSA"))
    assert rotated["Algorithm"] == "EdDSA"
    table = rows(admin("keys", "list", "acme"))
    assert table[0] == [f"Issuer: https://dev.tenancy.internal/tenants/{acme['id']}"]
    assert table[2] == ["KEY", "ALGORITHM", "CREATED", "RETIRED", "VERIFIES UNTIL"]
    assert [row[:2] for row in table[3:]] == [[rotated["Key"], "EdDSA"], [listed["id"], "ES256"]]
    assert admin("keys", "remove", "acme", listed["id"]) == f"removed {listed['id']}\n"
    assert "NOT_FOUND (TOKEN_KEY_NOT_FOUND)" in admin.error("keys", "remove", "acme", listed["id"])
    assert [key["id"] for key in admin.json("keys", "list", "acme")["keys"]] == [rotated["Key"]]


def test_verify(admin, acme, daemon, keys):
    certificate = str(daemon.pki / "acme.dev.pem")
    loose = bare(admin, "issue", "acme", "user:al", "--unbound")
    bound = bare(admin, "issue", "acme", "user:al", "--certificate", certificate)
    verify = ["token", "verify", "--jwks", str(keys)]

    def refused(token, *arguments):
        said = LOCAL.error(*verify, *arguments, stdin=token)
        assert said.startswith("tenantctl: ") and said.count("\n") == 1
        return said.split()[1].rstrip(":")

    issuer, audience = part(loose, 1)["iss"], part(loose, 1)["aud"]
    assert "user:al" in LOCAL(*verify, "--allow-unbound", stdin=loose)
    assert LOCAL.json(*verify, "--certificate", certificate, stdin=bound)["claims"] == part(bound, 1)
    assert LOCAL(*verify, "--allow-unbound", "--issuer", issuer, "--audience", audience, "--skew", "5",
                 stdin=loose)
    assert refused(loose) == "TOKEN_NOT_BOUND"
    assert refused(bound) == "TOKEN_BINDING_MISMATCH"
    assert refused(bound, "--allow-unbound") == "TOKEN_BINDING_MISMATCH"
    assert refused(bound, "--certificate", str(daemon.pki / "operator.pem")) == "TOKEN_BINDING_MISMATCH"
    assert refused(loose, "--allow-unbound", "--issuer", "x") == "TOKEN_ISSUER_MISMATCH"
    assert refused(loose, "--allow-unbound", "--audience", "x") == "TOKEN_AUDIENCE_MISMATCH"
    assert refused(loose, "--allow-unbound", "--type", "JWT") == "TOKEN_TYPE_REFUSED"
    assert refused(loose, "--allow-unbound", "--maximum-life", "10") == "TOKEN_LIFETIME_REFUSED"
    forger = Forger(loose.strip())
    for token, reason in ((forger.token(), "TOKEN_SIGNATURE_INVALID"),
                          (forger.token({"alg": "none"}), "TOKEN_ALGORITHM_REFUSED"),
                          (forger.token({"kid": "x"}), "TOKEN_KEY_UNKNOWN"),
                          ("", "TOKEN_MALFORMED"), (loose + "\n", "TOKEN_MALFORMED"),
                          (" " + loose, "TOKEN_MALFORMED"), ("\ufeff" + loose, "TOKEN_MALFORMED"),
                          (loose.replace(".", "\0.", 1), "TOKEN_MALFORMED")):
        assert refused(token, "--allow-unbound") == reason
    assert "more than" in LOCAL.error(*verify, stdin="x" * 9000)
    # Another tenant's keys, and what is no set.
    make_active(admin, "globex")
    admin("keys", "rotate", "globex")
    keys.write_text(admin("keys", "list", "globex", "--jwks"))
    assert refused(loose, "--allow-unbound") == "TOKEN_KEY_UNKNOWN"
    for text in ("", "{}", '{"keys":[{"kty":"oct","k":"AA"}]}', "x" * 200_000):
        keys.write_text(text)
        assert str(keys) in LOCAL.error(*verify, stdin=loose)
    assert "cannot read" in LOCAL.error("token", "verify", "--jwks", "/nowhere", stdin=loose)
    for wrong in (["--skew", "301"], ["--skew", "-1"], ["--maximum-life", "0"]):
        LOCAL.error(*verify, *wrong, code=64, stdin=loose)


def test_foreign_tokens_do_not_steer_the_terminal():
    evil = "\x1b[2J\u202egnp\u2028\x9b"
    token = ".".join(encode(json.dumps(one, ensure_ascii=False).encode())
                     for one in ({"alg": "HS256", evil: 1}, {"sub": evil, "exp": 1e300, "aud": [evil]}))
    for form in ("table", "json"):
        done = LOCAL.run("token", "inspect", "--output", form, stdin=token + ".AA")
        assert not any(sign in done.stdout for sign in "\x1b\u202e\u2028\x9b")
        assert "TOKEN_ALGORITHM_REFUSED" in done.stdout
    assert json.loads(done.stdout)["claims"]["sub"] == evil
    for text in ("", "a.b", "a.b.c.d", "!.e30.AA", "bm8.e30.AA", "x" * 9000):
        assert LOCAL.error("token", "inspect", stdin=text).startswith("tenantctl: ")


# Whose tokens are accepted.

def test_settings_are_shown_as_they_are_set(admin, acme, place):
    issuer = OutsideIssuer("https://id.acme.test")
    file = place / "auth.json"
    file.write_text(json.dumps({"requireBinding": True, "maximumLife": "300s", "issuers": [
        {"id": "corp", "issuer": issuer.url, "jsonWebKeySet": json.loads(issuer.jwks()),
         "algorithms": ["ES256"], "acceptJwtType": True, "maximumLife": "60s",
         "requiredClaims": [{"name": "org", "value": "acme"}], "permissionsClaim": "scope"},
        {"id": "b", "issuer": issuer.url + "/b", "jsonWebKeySet": issuer.jwks(), "disabled": True}]}))
    shown = admin("auth", "set", "acme", "--file", str(file))
    assert "required of all tokens" in shown and "corp:{sub}" in shown and "b (disabled)" in shown
    found = admin.json("auth", "show", "acme")
    assert json.loads(found["issuers"][0]["jsonWebKeySet"])["keys"] == [issuer.jwk]
    assert found["issuers"][0]["requiredClaims"] == [{"name": "org", "value": "acme"}]
    assert found["maximumLife"] == "300s" and found["etag"] == "a1"
    # As it is shown it can be set, and nothing changes.
    file.write_text(json.dumps(found))
    assert admin.json("auth", "set", "acme", "--file", str(file)) == found
    found["issuers"] = []
    file.write_text(json.dumps(found))
    assert admin.json("auth", "set", "acme", "--file", str(file))["etag"] == "a2"
    # The file has the etag of before.
    assert "ETAG_MISMATCH" in admin.error("auth", "set", "acme", "--file", str(file))


@pytest.mark.parametrize("text, said", [
    ("", "not JSON"), ("[]", "an object"), ('{"issuer": []}', "settings.issuer: no such member"),
    ('{"etag": "a", "etag": "b"}', "not JSON"), ('{"maximumLife": "5m"}', "settings.maximumLife"),
    ('{"requireBinding": "no"}', "settings.requireBinding"),
    ('{"issuers": [{"id": 1}]}', "settings.issuers[0].id"),
    ('{"issuers": [{"jsonWebKeySet": []}]}', "settings.issuers[0].jsonWebKeySet"),
])
def test_files_that_are_no_settings(admin, acme, place, text, said):
    file = place / "bad.json"
    file.write_text(text)
    assert said in admin.error("auth", "set", "acme", "--file", str(file))
