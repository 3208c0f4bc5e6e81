"""What tests share: peers that may be missing, the shared assets, and where the project lies.

REFQ_STRICT=1 (as .ci/run sets it) turns a skip for a missing peer into a failure: a suite that skips proves nothing.
"""
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# No deadline: the first example of a kernel compiles it. The same examples on every machine, so that a failure is one.
settings.register_profile("refq", deadline=None, derandomize=True, max_examples=50,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("refq")


def pytest_configure(config):
    """The mark of refq's own plugin, known also where refq is not installed."""
    config.addinivalue_line("markers", "golden: cases drawn by refq (refq/testing/plugin.py)")


COUNTS = {}
"""Operation of a live engine to [elements compared, those that differ as a test has proved]."""


def counted(operation, compared, differing=0):
    held = COUNTS.setdefault(operation, [0, 0])
    held[0], held[1] = held[0] + int(compared), held[1] + int(differing)


@pytest.fixture(scope="session")
def tally():
    """tally("ONNX Runtime MatMulInteger", 640, 0): elements that were compared, and those of them that differ for a
    reason which the test has proved; printed when the tests end."""
    return counted


def pytest_sessionfinish(session):
    """A process of pytest-xdist hands its counts over."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["counts"] = COUNTS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for operation, (compared, differing) in getattr(node, "workeroutput", {}).get("counts", {}).items():
        counted(operation, compared, differing)


def pytest_terminal_summary(terminalreporter):
    for operation, (compared, differing) in sorted(COUNTS.items()):
        terminalreporter.write_line(f"{operation}: {compared:,} elements compared, {differing:,} differ as explained")


def missing(what):
    """Skip visibly; fail where REFQ_STRICT=1."""
    if os.environ.get("REFQ_STRICT") == "1":
        pytest.fail(f"{what} (REFQ_STRICT=1 allows no skip)", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def need():
    """need("onnxruntime") gives the peer's module, or skips the test that asks for it."""
    def find(peer):
        top = peer.split(".")[0]
        if find_spec(top) is None:
            missing(f'{top} is not installed; pip install ".[test,peers]" brings the peers')
        return import_module(peer)

    return find


@pytest.fixture(scope="session")
def assets():
    """assets("models/resnet8.onnx") is the path of a file in ../shared/assets; the test skips where it is absent.

    A clone without these files is a whole one, so their absence is no failure under REFQ_STRICT either.
    """
    def find(name):
        path = ROOT.parent / "shared" / "assets" / name
        if not path.exists():
            pytest.skip(f"../shared/assets/{name} is absent")
        return path

    return find


@pytest.fixture(scope="session")
def root():
    """The folder of the project."""
    return ROOT
