"""The system under test that Arm's tosa_verif_run_tests loads: every test goes to a process of refq and back.

    tosa_verif_run_tests --sut-module tools.tosa.sut --sut-module-args tools.tosa.sut:PYTHON tools.tosa.sut:LOG ...

PYTHON: an interpreter that has refq; one process of it serves all tests of a thread. LOG: a file that gets one line of JSON
per test: its folder, and what refq answered (server.py says what that is).
"""
import atexit
import json
import subprocess
import threading
from pathlib import Path

from runner.tosa_test_runner import TosaTestRunner

from tools.tosa.flat import read

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK, HERE = threading.Lock(), threading.local()


def ended(process):
    """Closes the process's input, at which it ends by itself."""
    process.stdin.close()
    process.wait(30)


def server(python):
    """This thread's process."""
    if not hasattr(HERE, "process"):
        HERE.process = subprocess.Popen([python, "-m", "tools.tosa.server"], cwd=ROOT, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        atexit.register(ended, HERE.process)
    return HERE.process


class TosaSUTRunner(TosaTestRunner):
    """refq, for Arm's runner."""

    def runTestGraph(self):
        """What refq says of the test: a graph result of the runner, and a message."""
        python, log = self.runnerArgs
        files = {part: {name: str(self.testDirPath / path) for name, path in zip(self.testDesc[f"{part}_name"],
                                                                                  self.testDesc[f"{part}_file"])}
                 for part in ("ifm", "ofm")}
        asked = {"graph": read(self.testDirPath / self.testDesc["tosa_file"]), "inputs": files["ifm"], "outputs": files["ofm"]}
        process = server(python)
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or '{"status": "crash", "rule": "", "message": "refq ended"}')
        with LOCK, open(log, "a") as lines:
            lines.write(json.dumps({"test": str(self.testDirPath), **answer}) + "\n")
        graph = {"valid": self.TosaGraphResult.TOSA_VALID, "refused": self.TosaGraphResult.TOSA_ERROR}
        return graph.get(answer["status"], self.TosaGraphResult.OTHER_ERROR), answer["message"]
