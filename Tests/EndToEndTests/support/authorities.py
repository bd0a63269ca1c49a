"""Certificate authorities of the store: servers that have nothing else, and what they give."""

from cryptography import x509

from . import api
from .workload import Workload, with_workload_api

UID = 34_000
State = api.authorities.CertificateAuthority.State
AWAITING, PREPARED, ACTIVE, RETIRING = (
    State.Value(f"STATE_{name}") for name in ("AWAITING_CERTIFICATE", "PREPARED", "ACTIVE", "RETIRING"))


def with_stored_authorities(server):
    """A server whose Workload API has no files."""
    server = with_workload_api(server)
    for name in ("ca_certificate", "ca_key"):
        server.settings["workload_api"].pop(name)
    return server


def chain(authority) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(authority.certificate_chain.encode())


def take(server, tenant) -> tuple[dict, Workload]:
    process = Workload(server.workload_socket, uid=UID)
    [svid] = process.svids()
    return svid, process


def fetched(function):
    """What it gives, if anything yet."""
    try:
        return function()
    except Exception:
        return None


def called(server, mine) -> bool:
    with server.client(mine) as client:
        return bool(client.who())
