"""What OpenSSL can do to a TLS connection, and Python's ssl module can't: called by ctypes."""

import contextlib
import ctypes
import ctypes.util
import socket
import time
from pathlib import Path

_ssl = ctypes.CDLL(ctypes.util.find_library("ssl") or "libssl.so.3")
for _name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(_ssl, _name).restype = ctypes.c_void_p
_PEM = 1
_ALPN_HTTP2 = b"\2h2"
_REQUESTED = 1
_RENEGOTIATION_ALLOWED, _LEGACY_RENEGOTIATION = 1 << 8, 1 << 18
_MINIMUM, _MAXIMUM = 123, 124  # SSL_CTRL_SET_MIN_PROTO_VERSION and MAX
TLS_1_2, TLS_1_3 = 0x0303, 0x0304


class Connection:
    """A blocking TLS connection. Ends with an OSError when the server ends it."""

    def __init__(self, address: tuple[str, int], files: tuple[Path, ...], version: int):
        pointer = ctypes.c_void_p
        _, certificate, key = (str(file).encode() for file in files)
        self._context = pointer(_ssl.SSL_CTX_new(pointer(_ssl.TLS_client_method())))
        for control in (_MINIMUM, _MAXIMUM):
            _ssl.SSL_CTX_ctrl(self._context, control, ctypes.c_long(version), None)
        _ssl.SSL_CTX_set_options(self._context, ctypes.c_uint64(_LEGACY_RENEGOTIATION))
        assert _ssl.SSL_CTX_use_certificate_file(self._context, certificate, _PEM) == 1
        assert _ssl.SSL_CTX_use_PrivateKey_file(self._context, key, _PEM) == 1
        _ssl.SSL_CTX_set_alpn_protos(self._context, _ALPN_HTTP2, len(_ALPN_HTTP2))
        self._socket = socket.create_connection(address, 10)
        self._socket.settimeout(None)  # OpenSSL reads and writes the descriptor itself.
        limit = (5).to_bytes(8, "little") + bytes(8)  # struct timeval
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, option, limit)
        self._ssl = pointer(_ssl.SSL_new(self._context))
        _ssl.SSL_set_fd(self._ssl, self._socket.fileno())
        if _ssl.SSL_connect(self._ssl) != 1:
            self.close()
            raise ConnectionError("no handshake")

    def send(self, content: bytes) -> None:
        if _ssl.SSL_write(self._ssl, content, len(content)) <= 0:
            raise ConnectionError("the server has ended the connection")

    def update_key(self) -> None:
        """A KeyUpdate that asks for one in return (RFC 8446 §4.6.3)."""
        if (_ssl.SSL_key_update(self._ssl, _REQUESTED) != 1
                or _ssl.SSL_do_handshake(self._ssl) != 1):
            raise ConnectionError("the server has ended the connection")

    def renegotiate(self) -> None:
        """A second handshake, begun by the client (TLS 1.2)."""
        if _ssl.SSL_renegotiate(self._ssl) != 1 or _ssl.SSL_do_handshake(self._ssl) != 1:
            raise ConnectionError("the server does not renegotiate")

    def close(self) -> None:
        if hasattr(self, "_ssl"):
            _ssl.SSL_free(self._ssl)
        _ssl.SSL_CTX_free(self._context)
        self._socket.close()


def repeat(step, make, seconds: float) -> tuple[int, int]:
    """Takes `step` on connections of `make` without end. Returns steps taken, connections lost."""
    done = lost = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            connection = make()
        except OSError:
            lost += 1
            continue
        with contextlib.closing(connection):
            try:
                while time.monotonic() < end:
                    step(connection)
                    done += 1
            except ConnectionError:
                lost += 1
    return done, lost
