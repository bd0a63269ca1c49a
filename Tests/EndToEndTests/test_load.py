"""`tenantctl load` against a real server."""

import json
import signal
import subprocess

import pytest
from tenantctl_process import PATIENCE, binary, daemon, make_active, place

__all__ = ["daemon", "place"]  # Fixtures.


def load(ctl, *arguments, code=0):
    return json.loads(ctl("load", "--json", "-", *arguments, code=code))


@pytest.mark.parametrize("spoken", ["grpc", "ttrpc"])
@pytest.mark.parametrize("way", ["unix", "tls"])
def test_open_loop(daemon, way, spoken):
    ctl = daemon.over_unix() if way == "unix" else daemon.over_tls("operator")
    make_active(ctl, "acme")
    report = load(ctl, "--rate", "200", "--duration", "1", "--warmup", "0.1", "--connections", "3",
                  "--protocol", spoken, "--method", "resolve=3", "--method", "check=1")
    assert report["protocol"] == spoken
    assert report["calls"] + report["never_sent"] == 200
    assert report["codes"] == {"OK": report["calls"]}
    assert report["failed"] == 0 and report["failed_latency_us"] is None
    methods = report["methods"]
    assert methods["resolve"]["calls"] + methods["check"]["calls"] == report["calls"]
    assert methods["resolve"]["calls"] > methods["check"]["calls"] > 0
    for latency in (report["latency_us"], methods["check"]["latency_us"], report["lag_us"]):
        figures = [latency[name] for name in ("min", "p50", "p90", "p99", "p99.9", "p99.99", "max")]
        assert figures == sorted(figures) and figures[0] > 0


def test_closed_loop_with_progress_and_histogram(daemon, place):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    done = ctl.run("load", "--concurrency", "4", "--duration", "1.5", "--warmup", "0", "--progress",
                   "--histogram", str(place / "latencies.hgrm"), "--json", str(place / "r.json"))
    assert done.stderr.startswith("1 s: ") and " in flight, p50 " in done.stderr
    report = json.loads((place / "r.json").read_text())
    assert f"Calls:   {report['calls']} in " in done.stdout
    lines = (place / "latencies.hgrm").read_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert f"Total count    = {report['calls']:12d}]" in lines[-2]
    counts = [int(line.split()[2]) for line in lines[2:-3]]
    assert counts == sorted(counts) and counts[-1] == report["calls"]


def test_failures_are_counted_and_fail(daemon, place):
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    half = place / "tenants"
    half.write_text("# one of these is not there\nacme\n\nnobody\n")
    report = load(ctl, "--tenants-file", str(half), "--duration", "0.5", "--warmup", "0",
                  code=1)
    assert set(report["codes"]) == {"OK", "NOT_FOUND"}
    assert report["failed"] == report["codes"]["NOT_FOUND"] == report["calls"] - report["codes"]["OK"]
    assert report["failed_latency_us"]["p50"] > 0

    nobody = load(ctl, "--tenant-count", "3", "--tenant-prefix", "nobody-", "--duration", "0.2",
                  "--warmup", "0", code=1)
    assert set(nobody["codes"]) == {"NOT_FOUND"} and nobody["latency_us"] is None
    assert "UNAVAILABLE" in ctl.error("load", "--address", f"unix:{place}/nothing", code=2)
    assert "give either --rate or --concurrency" in ctl.error(
        "load", "--rate", "1", "--concurrency", "1", code=64)


def test_no_tenants(daemon):
    assert "no tenant is active" in daemon.over_unix().error("load", code=64)


def test_server_that_goes_away(daemon):
    """What is not answered counts as failed, and the load goes on to its end."""
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    command = [binary("TENANTCTL"), "load", "--rate", "100", "--duration", "3", "--warmup", "0",
               "--progress", "--json", "-"]
    with subprocess.Popen(command, env=ctl.environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr.readline().startswith("1 s: ")
        assert daemon.stop() == 0
        output, _ = running.communicate(timeout=PATIENCE)
    report = json.loads(output)
    assert running.returncode == 1, "most calls failed"
    assert report["codes"]["OK"] > 0 and report["codes"]["UNAVAILABLE"] > 0
    assert report["calls"] + report["never_sent"] == 300


def test_interrupted(daemon):
    """It reports what it has."""
    ctl = daemon.over_unix()
    make_active(ctl, "acme")
    command = [binary("TENANTCTL"), "load", "--rate", "100", "--duration", "3600", "--warmup", "0",
               "--progress"]
    with subprocess.Popen(command, env=ctl.environment, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr.readline().startswith("1 s: ")
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0
    assert "LATENCY (ms)" in output
