"""Process: somebody's program, run with a time limit, whatever it prints; nothing of it is left running afterwards."""
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

TAIL = 8192


@dataclass(frozen=True)
class Ended:
    """`status`: as subprocess says it (negative: a signal), or None where the time was up; `tail`: the last bytes that it
    printed, on either stream."""

    status: int | None
    tail: bytes

    @property
    def last(self):
        """The last line that it printed, without what a terminal would choke on."""
        lines = [line for line in self.tail.decode(errors="replace").splitlines() if line.strip()]
        text = "".join(c if c.isprintable() else "?" for c in lines[-1].strip()) if lines else "it said nothing"
        return text if len(text) <= 200 else f"{text[:200]} ..."


def run(command, limit, cwd=None, env=None):
    """Ended, after at most `limit` seconds; raises OSError where the command cannot be run."""
    program = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    end, tail = time.monotonic() + limit, b""
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(program.stdout, selectors.EVENT_READ)
            listening = True
            while listening and time.monotonic() < end:
                ended = program.poll() is not None      # before the reading: what it printed before it ended is there
                if ready.select(0 if ended else min(0.05, max(0, end - time.monotonic()))):
                    piece = os.read(program.stdout.fileno(), 65536)
                    tail, listening = (tail + piece)[-TAIL:], bool(piece)
                elif ended:                             # what it left behind may hold the pipe open
                    break
        with suppress(subprocess.TimeoutExpired):
            program.wait(max(0, end - time.monotonic()))
    finally:
        status = program.poll()         # before the kill, which is not how a program ended whose time was up
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program.pid, signal.SIGKILL)
        program.stdout.close()
        program.wait()
    return Ended(status, tail)
