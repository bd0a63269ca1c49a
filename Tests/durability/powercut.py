"""Runs programs under the power-cut simulation of tools/powercut."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "tools" / "powercut" / "powercut.c"


def build(directory: Path) -> Path:
    """Compiles the library into a directory and returns its path."""
    library = directory / "libpowercut.so"
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
         "-o", library, SOURCE, "-ldl"],
        check=True,
    )
    return library


class Machine:
    """A data directory on a machine whose power can be cut.

    `data` is the directory to give to the program under test. After `cut`, it holds what survived.
    """

    def __init__(self, library: Path, directory: Path):
        self.library = library
        self.data = directory / "data"
        self.shadow = directory / "shadow"
        self.data.mkdir(parents=True)

    def environment(self, torn: int | None = None, at: int | None = None) -> dict[str, str]:
        """The environment of a program to watch: one at a time, once between two cuts."""
        settings = {
            "LD_PRELOAD": str(self.library),
            "POWERCUT_DIR": str(self.data),
            "POWERCUT_SHADOW": str(self.shadow),
            "POWERCUT_NOSYNC": "1",
        }
        if torn is not None:
            settings["POWERCUT_TORN"] = str(torn)
        if at is not None:
            settings["POWERCUT_AT"] = str(at)
        return os.environ | settings

    def cut(self) -> None:
        """Replaces the data by what was durable. The program must have been killed before."""
        survived = self.shadow.parent / "survived"
        shutil.copytree(self.shadow, survived)  # A copy: its files must not be linked to others.
        for path in (self.data, self.shadow, Path(f"{self.shadow}.meta")):
            shutil.rmtree(path)
        survived.rename(self.data)
