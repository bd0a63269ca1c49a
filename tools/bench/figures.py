"""What a run of tools/bench/run found, kept for the article on performance (tools/documents makes its tables of it)."""

import datetime
import json
import os
import pathlib
import re
import subprocess

FOLDER = pathlib.Path(__file__).with_name("figures")
KEPT = "cpu_us", "cpu_by_limit", "rpc_per_s", "per_s", "p50_us", "p99_us"


def keep(name, report):
    """Writes the medians of a run to figures/NAME.json, with where and of what they are."""
    FOLDER.mkdir(exist_ok=True)
    kept = {"machine": machine(), "commit": commit(), "date": datetime.date.today().isoformat(), **report}
    kept["cases"] = [{**case, "servers": {server: medians(found) for server, found in case["servers"].items()}}
                     for case in report["cases"]]  # fmt: skip
    kept.pop("soak", None)  # A sample for each second.
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def medians(found):
    return {key: float(f"{found[key]:.4g}") for key in KEPT if key in found}


def machine():
    [model] = set(re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())) or {"unknown CPU"}
    return f"{model}, {os.cpu_count()} CPUs"


def commit():
    """Of the tree, which need not be that of a `--binary`; whether the code has been changed since."""

    def git(*arguments):
        command = ["git", "-C", FOLDER.parents[2], *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "Package.swift", "Sources/*.swift", "proto")
    return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
