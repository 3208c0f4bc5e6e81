"""A count of what was compared with live engines, printed in one line for each operation when the tests end."""
from collections import defaultdict

import pytest

from tests.peers.live import runtime


@pytest.fixture(scope="session")
def tally(request):
    """tally("ONNX Runtime MatMulInteger", 640, 0): elements that were compared, and those of them that differ for a
    reason which the test has proved."""
    counts = defaultdict(lambda: [0, 0])

    def add(operation, compared, differing=0):
        counts[operation][0] += compared
        counts[operation][1] += differing

    yield add
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        for operation, (compared, differing) in counts.items():
            print(f"{operation}: {compared:,} elements compared, {differing:,} differ as explained")


@pytest.fixture(scope="session")
def run(need):
    """run(feeds, dtype, *nodes, frozen=()) by ONNX Runtime; see live.py."""
    return runtime(need("onnxruntime"))
