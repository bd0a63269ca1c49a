"""What a process costs."""

import os
from pathlib import Path


class Measured:
    """For classes that have a `process`."""

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def reset_peak(self) -> int:
        """Forgets the memory peak; returns what is resident now, in KiB."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.resident

    @property
    def resident(self) -> int:
        """KiB."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """KiB resident at most since `reset_peak`."""
        return self._status("VmHWM")

    def _status(self, key: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{key}:")[2].split()[0])

    @property
    def processor_time(self) -> float:
        """Seconds, of all threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
