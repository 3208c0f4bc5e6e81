"""The pytest plugin: a test marked `golden` runs once for each case, and gets it as its argument `golden`.

    @pytest.mark.golden("matmul+rescale", dialect="tflite")
    def test_my_kernel(golden):
        y = my_kernel(**golden.operands)
        assert (y == golden.expected["y"]).all()

Nothing of refq but this is imported until a marked test is collected. refq/testing/golden.py has the arguments of the mark.
"""
MARK = "golden(chain, dialect='tflite', shape=None, budget=16384, seed=0, pack=None, unit=None): run the test on every case " \
       "of golden vectors, drawn for an operation or of a pack; the test takes an argument `golden`"


def pytest_configure(config):
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc):
    mark = metafunc.definition.get_closest_marker("golden")
    if mark is None:
        return
    from pytest import Collector

    from refq.errors import RefqError
    from refq.testing.golden import cases
    if "golden" not in metafunc.fixturenames:
        raise Collector.CollectError(f"{metafunc.definition.nodeid}: is marked golden and takes no argument `golden`; add it")
    try:
        found = cases(mark.args, mark.kwargs, getattr(metafunc.config, "cache", None))
    except RefqError as e:
        raise Collector.CollectError(f"{metafunc.definition.nodeid}: {e}") from None
    metafunc.parametrize("golden", found, ids=[case.name for case in found])
