"""Waiting for something to become true, with a deadline instead of a guess."""

import asyncio
import time


def eventually(check, within=5.0, what=None):
    """The first truthy answer of `check`; the last answer, or error, is in the failure."""
    deadline = time.monotonic() + within
    pause = 0.01
    while True:
        error = answer = None
        try:
            answer = check()
        except (OSError, AssertionError, KeyError, ValueError) as caught:
            error = caught
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or check.__name__}; last: {error or answer!r}") from error
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


async def until(check, within=5.0):
    """`eventually` beside other tasks."""
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.01)
