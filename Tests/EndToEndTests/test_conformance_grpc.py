"""Every case of the public gRPC interoperability tests, by grpcio, on each transport."""

import threading

import grpc
import pytest

from support.conformance import (TRANSPORTS, InteropServer, empty_pb2, frame, messages_pb2,
                                 test_pb2_grpc)

SERVICE = "/grpc.testing.TestService/"
METADATA = (("x-grpc-test-echo-initial", "test_initial_metadata_value"),
            ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))
LARGE = dict(response_size=314159, payload=messages_pb2.Payload(body=bytes(271828)))


@pytest.fixture(scope="module", params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture(scope="module")
def interop(transport, pki):
    server = InteropServer(pki=pki if transport == "mtls" else None)
    try:
        yield server
        assert server.process.poll() is None, f"the server ended:\n{server.log}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def credential(transport, pki):
    return pki.python.platform("interop") if transport == "mtls" else None


@pytest.fixture(scope="module")
def stub(interop, transport, credential):
    with interop.channel(transport, credential) as channel:
        yield test_pb2_grpc.TestServiceStub(channel)


def simple(**fields):
    return messages_pb2.SimpleRequest(**fields)


def output(*sizes: int, payload: int | None = None, **fields):
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=[messages_pb2.ResponseParameters(size=size) for size in sizes],
        payload=None if payload is None else messages_pb2.Payload(body=bytes(payload)), **fields)


def yes_or_no(value: bool):
    return messages_pb2.BoolValue(value=value)


def test_empty_unary(stub):
    assert stub.EmptyCall(empty_pb2.Empty(), timeout=20) == empty_pb2.Empty()


def test_large_unary(stub):
    assert stub.UnaryCall(simple(**LARGE), timeout=20).payload.body == bytes(314159)


def test_client_streaming(stub):
    sizes = (27182, 8, 1828, 45904)
    requests = (messages_pb2.StreamingInputCallRequest(payload=messages_pb2.Payload(body=bytes(size)))
                for size in sizes)
    assert stub.StreamingInputCall(requests, timeout=20).aggregated_payload_size == 74922


def test_server_streaming(stub):
    sizes = (31415, 9, 2653, 58979)
    answers = stub.StreamingOutputCall(output(*sizes), timeout=20)
    assert [answer.payload.body for answer in answers] == [bytes(size) for size in sizes]


class Requests:
    """Requests that a test sends when it likes."""

    def __init__(self):
        self._condition = threading.Condition()
        self._waiting = []
        self._ended = False

    def send(self, request) -> None:
        with self._condition:
            self._waiting.append(request)
            self._condition.notify()

    def end(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._condition:
            while not self._waiting:
                if self._ended:
                    raise StopIteration
                self._condition.wait(20)
            return self._waiting.pop(0)


def test_ping_pong(stub):
    requests = Requests()
    answers = stub.FullDuplexCall(requests, timeout=20)
    for sent, wanted in ((27182, 31415), (8, 9), (1828, 2653), (45904, 58979)):
        requests.send(output(wanted, payload=sent))
        assert next(answers).payload.body == bytes(wanted)
    requests.end()
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_half_duplex(stub):
    """Nothing is answered before all is asked."""
    requests = Requests()
    answers = stub.HalfDuplexCall(requests, timeout=20)
    requests.send(output(31415))
    requests.send(output(9, 2653))
    requests.end()
    assert [len(answer.payload.body) for answer in answers] == [31415, 9, 2653]


def test_half_duplex_holds_so_much_and_no_more(stub):
    assert len(list(stub.HalfDuplexCall(iter([output(*[1] * 1000)]), timeout=20))) == 1000
    answers = stub.HalfDuplexCall(iter([output(*[1] * 1000), output(1)]), timeout=20)
    assert answers.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_empty_stream(stub):
    answers = stub.FullDuplexCall(iter(()), timeout=20)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_cancel_after_begin(stub):
    requests = Requests()
    call = stub.StreamingInputCall.future(requests, timeout=20)
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    requests.end()


def test_cancel_after_first_response(stub):
    requests = Requests()
    answers = stub.FullDuplexCall(requests, timeout=20)
    requests.send(output(31415, payload=27182))
    assert len(next(answers).payload.body) == 31415
    answers.cancel()
    assert answers.code() is grpc.StatusCode.CANCELLED
    requests.end()


def test_timeout_on_sleeping_server(stub):
    requests = Requests()
    requests.send(output(payload=27182))
    answers = stub.FullDuplexCall(requests, timeout=0.001)
    with pytest.raises(grpc.RpcError) as failure:
        next(answers)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    requests.end()


@pytest.mark.parametrize("message", ["test status message", "\t\ntest with whitespace\r\nand "
                                     "Unicode BMP ☺ and non-BMP 😈\t\n"],
                         ids=["status_code_and_message", "special_status_message"])
def test_status(stub, message):
    status = messages_pb2.EchoStatus(code=2, message=message)
    with pytest.raises(grpc.RpcError) as failure:
        stub.UnaryCall(simple(response_status=status), timeout=20)
    assert (failure.value.code(), failure.value.details()) == (grpc.StatusCode.UNKNOWN, message)
    answers = stub.FullDuplexCall(iter([output(response_status=status)]), timeout=20)
    with pytest.raises(grpc.RpcError):
        next(answers)
    assert (answers.code(), answers.details()) == (grpc.StatusCode.UNKNOWN, message)


def test_unimplemented_method(stub):
    with pytest.raises(grpc.RpcError) as failure:
        stub.UnimplementedCall(empty_pb2.Empty(), timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_unimplemented_service(interop, transport, credential):
    with interop.channel(transport, credential) as channel:
        stub = test_pb2_grpc.UnimplementedServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            stub.UnimplementedCall(empty_pb2.Empty(), timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def assert_echoed(call) -> None:
    assert METADATA[0] in [tuple(entry) for entry in call.initial_metadata()]
    assert METADATA[1] in [tuple(entry) for entry in call.trailing_metadata()]


def test_custom_metadata(stub):
    answer, call = stub.UnaryCall.with_call(simple(**LARGE), metadata=METADATA, timeout=20)
    assert len(answer.payload.body) == 314159
    assert_echoed(call)
    answers = stub.FullDuplexCall(
        iter([output(314159, payload=271828)]), metadata=METADATA, timeout=20)
    assert [len(answer.payload.body) for answer in answers] == [314159]
    assert_echoed(answers)


def test_client_compressed_unary(stub):
    expecting = dict(LARGE, expect_compressed=yes_or_no(True))
    with pytest.raises(grpc.RpcError) as failure:
        stub.UnaryCall(simple(**expecting), timeout=20)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for compression, expected in ((grpc.Compression.Gzip, True), (None, False)):
        answer = stub.UnaryCall(simple(**dict(LARGE, expect_compressed=yes_or_no(expected))),
                                compression=compression, timeout=20)
        assert answer.payload.body == bytes(314159)


def test_client_compressed_streaming(stub, interop, transport, credential):
    def request(size: int, expected: bool):
        return messages_pb2.StreamingInputCallRequest(
            payload=messages_pb2.Payload(body=bytes(size)), expect_compressed=yes_or_no(expected))

    with pytest.raises(grpc.RpcError) as failure:
        stub.StreamingInputCall(iter([request(27182, True)]), timeout=20)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    # grpcio has no compression of single messages.
    body = (frame(request(27182, True).SerializeToString(), compressed=True)
            + frame(request(45904, False).SerializeToString()))
    answer = interop.raw(transport, SERVICE + "StreamingInputCall", body,
                         ["grpc-encoding: gzip"], credential)
    assert answer.headers["grpc-status"] == "0"
    [(_, message)] = answer.messages
    decoded = messages_pb2.StreamingInputCallResponse.FromString(message)
    assert decoded.aggregated_payload_size == 73086


def compressions(answer, sizes: list[int], kind) -> list[bool]:
    """Whether each message was compressed."""
    assert answer.headers["grpc-status"] == "0"
    bodies = [kind.FromString(message).payload.body for _, message in answer.messages]
    assert bodies == [bytes(size) for size in sizes]
    return [compressed for compressed, _ in answer.messages]


@pytest.mark.parametrize("wanted", [True, False])
def test_server_compressed_unary(interop, transport, credential, wanted):
    request = simple(**dict(LARGE, response_compressed=yes_or_no(wanted)))
    answer = interop.raw(transport, SERVICE + "UnaryCall", frame(request.SerializeToString()),
                         ["grpc-accept-encoding: gzip"], credential)
    assert compressions(answer, [314159], messages_pb2.SimpleResponse) == [wanted]


def test_server_compressed_streaming(interop, transport, credential):
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=[
        messages_pb2.ResponseParameters(size=31415, compressed=yes_or_no(True)),
        messages_pb2.ResponseParameters(size=92653, compressed=yes_or_no(False))])
    answer = interop.raw(
        transport, SERVICE + "StreamingOutputCall", frame(request.SerializeToString()),
        ["grpc-accept-encoding: gzip"], credential)
    kind = messages_pb2.StreamingOutputCallResponse
    assert compressions(answer, [31415, 92653], kind) == [True, False]


def test_responses_wait_as_asked(stub):
    """`interval_us`, and a deadline that comes before its end."""
    request = messages_pb2.StreamingOutputCallRequest(response_parameters=[
        messages_pb2.ResponseParameters(size=1),
        messages_pb2.ResponseParameters(size=2, interval_us=60_000_000)])
    answers = stub.StreamingOutputCall(request, timeout=1)
    assert len(next(answers).payload.body) == 1
    with pytest.raises(grpc.RpcError) as failure:
        next(answers)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("fields", [dict(response_size=-1), dict(response_size=16 * 1024 * 1024 + 1),
                                    dict(response_type=7)])
def test_what_makes_no_sense_is_refused(stub, fields):
    with pytest.raises(grpc.RpcError) as failure:
        stub.UnaryCall(simple(**fields), timeout=20)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_cacheable_unary(stub):
    answer, call = stub.CacheableUnaryCall.with_call(simple(), timeout=20)
    assert int(answer.payload.body) > 1_700_000_000_000_000_000
    assert ("cache-control", "max-age=60, public") in [tuple(e) for e in call.initial_metadata()]


def test_the_caller_has_a_name(stub, transport):
    answer = stub.UnaryCall(simple(fill_username=True), timeout=20)
    start = {"unix": "uid:", "tcp": "", "mtls": "spiffe://"}[transport]
    assert answer.username.startswith(start) and bool(answer.username) == bool(start)


def test_bytes_that_are_no_message(stub, interop, transport, credential):
    for method in ("EmptyCall", "UnaryCall", "StreamingInputCall", "FullDuplexCall"):
        answer = interop.raw(transport, SERVICE + method, frame(b"\xff"), (), credential)
        assert answer.headers["grpc-status"] == "3", method
