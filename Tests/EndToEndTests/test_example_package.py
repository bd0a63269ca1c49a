"""A package outside of this one, with a service of its own on the RPC runtime, as the article on that tells to make it."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
import pytest
from grpc_tools import protoc
from support.documents import ROOT, block
from tenantctl_process import PATIENCE

PACKAGE = ROOT / "Tests/ExamplePackage"
# Lines of the article that are shorter than there.
ABRIDGED = {
    '.executableTarget(name: "weather-station", dependencies: ["Weather", runtime]),',
    "rpc GetReading(GetReadingRequest) returns (Reading);",
    "print(difference)",
}
# It builds the runtime once more, for itself.
BUILD_PATIENCE = 900


@pytest.fixture(scope="module")
def program() -> Path:
    build = ["swift", "build", "--package-path", str(PACKAGE), "--scratch-path", str(ROOT / ".build-example")]
    done = subprocess.run(
        build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_PATIENCE, check=False)
    assert done.returncode == 0, done.stdout[-10_000:]
    shown = subprocess.run([*build, "--show-bin-path"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return Path(shown.stdout.strip()) / "weather-station"


@pytest.fixture(scope="module")
def serving(program):
    """The socket of the program, and what it has said."""
    # Short: a Unix socket's path has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="example-") as folder:
        socket = Path(folder) / "weather.sock"
        running = subprocess.Popen([program, socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = []
        for line in running.stdout:
            said.append(line.rstrip())
            if said[-1] == "serving":
                break
        try:
            yield socket, said
        finally:
            running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, said


def test_the_documented_command_generates_what_is_there():
    command = block("", "tools/generate --proto").replace("../tenancy/", f"{ROOT}/").strip()
    environment = os.environ | {"TENANCY_VENV": str(Path(sys.executable).parents[1])}
    done = subprocess.run(
        ["bash", "-euc", f"{command} --check"], cwd=PACKAGE, capture_output=True, text=True, timeout=PATIENCE,
        check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_well_known_messages_are_weak(program):
    """A program may link another module that has them, too: our own client, for one."""
    compiled = program.parent / "CWeather.build/google/protobuf/timestamp.pb-c.c.o"
    shown = subprocess.run(["nm", compiled], capture_output=True, text=True, timeout=PATIENCE, check=True)
    kinds = {line.split()[-2] for line in shown.stdout.splitlines() if " google__protobuf__timestamp__" in line}
    # Those in lower case are the file's own.
    assert {kind for kind in kinds if kind.isupper()} == {"V", "W"}


def test_no_public_type_has_the_name_of_one_of_grpccores(program):
    """Then a file can import both, as the target BesideGRPC does. `tools/tidy` has a list of those names."""
    kinds = "actor|class|enum|protocol|struct|typealias"
    declared = re.compile(rf"^(?:@\S+ )*public (?:final |indirect )*(?:{kinds}) (\w+)", re.M)

    def types(*folders):
        files = [file for folder in folders for file in folder.rglob("*.swift")]
        return {name for file in files for name in declared.findall(file.read_text())}

    theirs = types(ROOT / ".build-example/checkouts/grpc-swift-2/Sources/GRPCCore")
    ours = types(ROOT / "Sources/TenancyCrypto", *ROOT.glob("Sources/TenancyRPC*"))
    assert {"ServerInterceptor", "Metadata"} <= theirs and {"RPCMetadata", "Server"} <= ours
    assert theirs & ours == set()
    listed = re.search(r"GRPCCore's\".*\\b\((.*)\)\\b' \\$", (ROOT / "tools/tidy").read_text(), re.M)[1]
    assert {name for name in theirs if not re.fullmatch(listed, name)} == set()


def test_the_article_shows_what_is_there():
    article = (ROOT / "Sources/Tenancy/Tenancy.docc/OwnService.md").read_text()
    there = "".join(
        file.read_text() for kind in ("swift", "proto") for file in PACKAGE.rglob(f"*.{kind}"))
    known = {line.strip() for line in there.replace("../..", "../tenancy").splitlines()}
    shown = "".join(re.findall(r"^```(?:swift|proto)\n(.*?)^```$", article, re.M | re.S))
    assert {line.strip() for line in shown.splitlines()} - known == ABRIDGED


def test_all_kinds_with_the_generated_client(serving):
    _, said = serving
    assert said == [
        "recorded 3 of zugspitze brocken",
        'brocken: 3.0 degrees, 0.5 mm, sensor ["sensor": "b7"]',
        "zugspitze: -4.5 at 1700000000",
        "zugspitze: -2.0 at 0",
        "zugspitze: warmer by 3.0",
        "feldberg: the first",
        "refused: no reading of feldberg, 623801b1",
        "serving",
    ]


def test_all_kinds_with_a_client_of_another_make(serving, tmp_path):
    socket, _ = serving
    arguments = ["protoc", f"-I{PACKAGE}/proto", f"-I{Path(protoc.__file__).parent}/_proto"]
    outputs = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}", "weather/v1/stations.proto"]
    assert protoc.main(arguments + outputs) == 0
    sys.path.insert(0, str(tmp_path))
    try:
        from weather.v1 import stations_pb2 as messages
        from weather.v1 import stations_pb2_grpc as services
    finally:
        sys.path.remove(str(tmp_path))

    def reading(station, temperature):
        return messages.Reading(station=station, temperature=temperature, sky=messages.SKY_CLEAR)

    with grpc.insecure_channel(f"unix:{socket}") as channel:
        stations = services.StationsStub(channel)
        recorded = stations.RecordReadings(
            iter([reading("arber", 1), reading("arber", 2.5)]), timeout=PATIENCE)
        assert (recorded.recorded, list(recorded.stations)) == (2, ["arber"])
        last = stations.GetReading(messages.GetReadingRequest(station="arber"), timeout=PATIENCE)
        assert last == reading("arber", 2.5)
        listed = stations.ListReadings(messages.ListReadingsRequest(station="arber"), timeout=PATIENCE)
        assert [each.temperature for each in listed] == [1, 2.5]
        compared = stations.CompareReadings(
            iter([reading("arber", 4), reading("hochfelln", 1)]), timeout=PATIENCE)
        assert list(compared) == [
            messages.Difference(station="arber", warmer=1.5), messages.Difference(station="hochfelln", first=True)]
        with pytest.raises(grpc.RpcError) as refused:
            stations.GetReading(messages.GetReadingRequest(station="nowhere"), timeout=PATIENCE)
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        assert refused.value.details() == "no reading of nowhere"
