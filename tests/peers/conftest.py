"""What tests against live engines share."""
import pytest

from tests.peers.live import runtime


@pytest.fixture(scope="session")
def run(need):
    """run(feeds, dtype, *nodes, frozen=()) by ONNX Runtime; see live.py."""
    return runtime(need("onnxruntime"))
