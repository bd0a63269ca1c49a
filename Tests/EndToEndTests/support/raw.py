"""Connections below gRPC: what a peer that breaks the rules sees."""

import socket
import ssl
import struct

# The client connection preface (RFC 9113 §3.4) with empty SETTINGS.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\4\0" + bytes(4)


def connect(where) -> socket.socket:
    """`where` is the path of a Unix socket, or (host, port)."""
    if isinstance(where, tuple):
        return socket.create_connection(where, 20)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(where))
    return connection


def read_all(connection) -> bytes:
    """Everything until the peer closes; a reset ends it as well."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def exchange(where, sent: bytes) -> bytes:
    """Sends, and returns what comes until the server closes. Fails when it does not within 20 s."""
    with connect(where) as connection:
        connection.sendall(sent)
        return read_all(connection)


def tls_context(authorities: bytes, files=None, alpn=("h2",)) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authorities.decode())
    # This client is to offer what the server must refuse.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if files:
        context.load_cert_chain(*files)
    return context


def tls_exchange(port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """Begins HTTP/2 over TLS. Returns how it ended, and what came as plain text before that.

    With TLS 1.3 the client learns only after its own end of the handshake that it was refused.
    """
    received = b""
    with connect(("127.0.0.1", port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(PREFACE)
                while chunk := connection.recv(65536):
                    received += chunk
                    if len(received) >= 9:  # A frame: it was let in.
                        return "served", received
                return "closed", received
        except ssl.SSLError as error:
            return error.reason or "closed", received
        except ConnectionError:
            return "closed", received
