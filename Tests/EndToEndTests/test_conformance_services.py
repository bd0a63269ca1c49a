"""What the conformance server serves besides grpc.testing, over gRPC; its flags; and its end."""

import subprocess

import grpc
import pytest

from support.conformance import (InteropServer, binary, empty_pb2, lookup_pb2, lookup_pb2_grpc,
                                 messages_pb2, streaming_grpc, test_pb2, test_pb2_grpc)
from support.waiting import eventually


@pytest.fixture(scope="module")
def interop():
    server = InteropServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def channel(interop):
    with interop.channel("unix") as channel:
        yield channel


@pytest.fixture(scope="module")
def streaming(channel):
    return streaming_grpc.StreamingStub(channel)


@pytest.fixture
def make_server():
    made = []

    def make(*flags: str, **more) -> InteropServer:
        made.append(InteropServer(*flags, **more))
        return made[-1]

    yield make
    for server in made:
        server.close()


def echo(streaming, text: str, **options) -> str:
    return streaming.Echo(test_pb2.EchoPayload(msg=text), timeout=20, **options).msg


# MARK: ttrpc.integration.streaming


def test_echo(streaming):
    sent = test_pb2.EchoPayload(seq=1, msg="Echo Me")
    assert streaming.Echo(sent, timeout=20) == test_pb2.EchoPayload(seq=2, msg="Echo Me")


def test_echo_stream(streaming):
    sent = [test_pb2.EchoPayload(seq=seq, msg=f"{seq}: Echo") for seq in range(0, 100, 2)]
    answers = list(streaming.EchoStream(iter(sent), timeout=20))
    assert [(answer.seq - 1, answer.msg) for answer in answers] == [(p.seq, p.msg) for p in sent]


def test_sum_stream(streaming):
    parts = [test_pb2.Part(add=add) for add in (0, *range(-99, 101), 0)]
    assert streaming.SumStream(iter(parts), timeout=20) == test_pb2.Sum(sum=100, num=202)


@pytest.mark.parametrize(("total", "count"), [(392, 30), (-7, 3), (5, 1), (0, 0)])
def test_divide_stream(streaming, total, count):
    parts = list(streaming.DivideStream(test_pb2.Sum(sum=total, num=count), timeout=20))
    assert (sum(part.add for part in parts), len(parts)) == (total, count)


@pytest.mark.parametrize("count", [-1, 1_000_001])
def test_divide_stream_is_bounded(streaming, count):
    with pytest.raises(grpc.RpcError) as failure:
        list(streaming.DivideStream(test_pb2.Sum(num=count), timeout=20))
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def numbered(count: int, text: str = "non-empty empty"):
    return (test_pb2.EchoPayload(seq=seq, msg=text) for seq in range(count))


def test_echo_null(streaming):
    assert streaming.EchoNull(numbered(100), timeout=20).ByteSize() == 0
    assert len(list(streaming.EchoNullStream(numbered(100), timeout=20))) == 1000


@pytest.mark.parametrize("requests", [[test_pb2.EchoPayload(seq=1, msg="non-empty empty")],
                                      [test_pb2.EchoPayload(msg="else")]])
def test_echo_null_checks_what_comes(streaming, requests):
    for method in (streaming.EchoNull.future, streaming.EchoNullStream):
        call = method(iter(requests), timeout=20)
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_empty_payload_stream(streaming):
    from google.protobuf import empty_pb2 as google_empty

    answers = streaming.EmptyPayloadStream(google_empty.Empty(), timeout=20)
    assert [answer.seq for answer in answers] == [1, 2]


# MARK: Commands of Echo


@pytest.mark.parametrize("code", ["5", "NOT_FOUND", "NotFound"])
def test_fail(streaming, code):
    with pytest.raises(grpc.RpcError) as failure:
        echo(streaming, f"fail:{code}:gone: for good")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert failure.value.details() == "gone: for good"


@pytest.mark.parametrize("text", ["fail:0:x", "fail:17:x", "fail:NOPE:x", "sleep:-1", "sleep:soon"])
def test_commands_that_make_no_sense(streaming, text):
    with pytest.raises(grpc.RpcError) as failure:
        echo(streaming, text)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_sleep(streaming):
    assert echo(streaming, "sleep:20") == "sleep:20"
    with pytest.raises(grpc.RpcError) as failure:
        streaming.Echo(test_pb2.EchoPayload(msg="sleep:60000"), timeout=0.2)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_metadata(streaming):
    assert echo(streaming, "md:color", metadata=[("color", "blue"), ("color", "red")]) == "blue"
    assert echo(streaming, "md:color") == ""


def test_deadline(streaming):
    assert echo(streaming, "deadline") == "yes"
    assert streaming.Echo(test_pb2.EchoPayload(msg="deadline")).msg == "no"


# MARK: bench.v1


def test_lookup(channel):
    stub = lookup_pb2_grpc.LookupStub(channel)
    for number in (0, 1, 9999):
        found = stub.Get(lookup_pb2.GetRequest(key=f"key-{number:05}"), timeout=20)
        assert found == lookup_pb2.Entry(
            name=f"entries/{number:05}", value=f"value of entry {number:05}", revision=number + 1)
    for missing in ("", "key-10000", "key-0000", "key-000000"):
        with pytest.raises(grpc.RpcError) as failure:
            stub.Get(lookup_pb2.GetRequest(key=missing), timeout=20)
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND


# MARK: Flags


def test_message_limit(make_server):
    with make_server("--limit", "message_bytes=1024").channel("tcp") as channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        fits = messages_pb2.SimpleRequest(payload=messages_pb2.Payload(body=bytes(1024 - 6)))
        assert fits.ByteSize() == 1024
        stub.UnaryCall(fits, timeout=20)
        beyond = messages_pb2.SimpleRequest(payload=messages_pb2.Payload(body=bytes(1024 - 5)))
        with pytest.raises(grpc.RpcError) as failure:
            stub.UnaryCall(beyond, timeout=20)
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("flags", [
    [], ["--listen", "tcp:localhost"], ["--listen", "tcp::80"], ["--listen", "unix:"],
    ["--listen", "udp:localhost:1"], ["--listen", "tcp:localhost:65536"],
    ["--listen", "unix:/x", "--tls", "certificate", "key"],
    ["--listen", "unix:/x", "--crl", "file"], ["--listen", "unix:/x", "--client-auth", "maybe"],
    ["--listen", "unix:/x", "--limit", "message_bytes=1023"],
    ["--listen", "unix:/x", "--limit", "messages=1"],
    ["--listen", "unix:/x", "--limit", "header_burst=2048"],
    ["--listen", "unix:/x", "--drain", "5"], ["--listen", "unix:/x", "--drain", "s"]])
def test_flags_that_make_no_sense(flags):
    done = subprocess.run([binary(), *flags], capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and "Error:" in done.stderr


def test_the_end(make_server):
    """Calls in flight may finish; watchers of the server's health hear of it at once."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    server = make_server("--drain", "60s")
    with server.channel("unix") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        slow = test_pb2_grpc.TestServiceStub(channel).StreamingOutputCall(
            messages_pb2.StreamingOutputCallRequest(response_parameters=[
                messages_pb2.ResponseParameters(size=1),
                messages_pb2.ResponseParameters(size=2, interval_us=1_000_000)]), timeout=60)
        next(slow)
        server.process.terminate()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert watch.code() is grpc.StatusCode.UNAVAILABLE
        assert [len(answer.payload.body) for answer in slow] == [2]
        assert server.process.wait(20) == 0
    eventually(lambda: not server.socket.exists(), "the socket's file is gone")
