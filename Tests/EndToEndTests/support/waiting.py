"""Waiting for a condition, never for a time."""

import time


def eventually(condition, what: str, seconds: float = 20):
    """Returns the first truthy result of `condition`; fails when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
