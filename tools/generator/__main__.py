"""Writes all generated code below a folder."""

import argparse
import pathlib
import shutil
import sys

from . import c_messages, descriptors, modules, swift_messages, swift_services
from .errors import GenerationError
from .modules import FOLDERS


def generate(proto: pathlib.Path) -> dict[str, str]:
    """Path -> text of every generated file."""
    everything = descriptors.load(proto)
    reader = descriptors.AuthorizationReader(everything)
    outputs: dict[str, str] = {}
    for module, files in modules.split(everything.file, c_messages.DROPPED_DEPENDENCIES):
        wire = swift_messages.generate(module, files)
        wire["Services.swift"] = swift_services.specs(module, files, reader)
        wire["Descriptors.swift"] = swift_services.descriptor_set(module)
        embedded = descriptors.closure(everything, [file.name for file in files])
        clients = swift_services.clients(module, files)
        for folder, texts in (
            (module.c_folder, c_messages.generate(module, files, embedded)),
            (module.swift_folder, wire),
            (module.client_folder or module.swift_folder, clients),
        ):
            outputs |= {f"{folder}/{name}": text for name, text in texts.items()}
    return outputs


def write(outputs: dict[str, str], root: pathlib.Path) -> None:
    """Replaces the generated folders below `root`."""
    for folder in FOLDERS:
        shutil.rmtree(root / folder, ignore_errors=True)
    for name, text in outputs.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stale(outputs: dict[str, str], root: pathlib.Path) -> list[str]:
    """Generated files below `root` that differ, are missing, or should not be there."""
    present = {
        str(path.relative_to(root))
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.is_file()
    }
    different = {
        name for name in present & outputs.keys() if (root / name).read_text() != outputs[name]
    }
    return sorted(different | (present ^ outputs.keys()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/generate", description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument(
        "--check", action="store_true", help="only say whether the generated code is current"
    )
    arguments = parser.parse_args()
    root = arguments.root
    try:
        outputs = generate(root / "proto")
    except GenerationError as error:
        print(f"tools/generate: {error}", file=sys.stderr)
        return 1
    if not arguments.check:
        write(outputs, root)
        return 0
    differences = stale(outputs, root)
    for name in differences:
        print(f"tools/generate: stale: {name}", file=sys.stderr)
    if differences:
        print("tools/generate: run tools/generate and commit the result", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
