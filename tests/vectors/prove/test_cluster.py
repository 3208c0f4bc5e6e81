"""Prove on a real dask cluster: the same proof as here, also where a worker is killed midway."""
import os
import signal

import pytest

from refq.errors import RefqError
from refq.vectors.prove import shards
from refq.vectors.prove.prove import prove

ASKED = {"op": "rescale", "widths": {"acc": "i26"}, "constants": ["mult=1518500250 shift=38 zp=-3", "mult=1 shift=31 zp=7"]}


@pytest.fixture
def cluster(need):
    """A LocalCluster of two processes."""
    need("distributed")
    from distributed import LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made


def test_a_killed_worker_changes_nothing(cluster, monkeypatch):
    """One of two workers is killed after the first shard: its shards run elsewhere, and the proof is the one made here."""
    monkeypatch.setattr(shards, "SWEPT", 1 << 21)
    here, killed = prove(**ASKED), []

    def kill(met, of):
        if not killed:
            pid = cluster.workers[0].process.pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    there = prove(**ASKED, scheduler=cluster.scheduler_address, progress=kill)
    assert killed and there.passed and there.workers == 2
    assert there.parts == here.parts and there.met == 2 ** 27
    assert [part["inputs"] for part in there.parts] == [2 ** 26] * 2


def test_no_scheduler_is_a_sentence(need):
    """An address at which nobody answers is refused."""
    need("distributed")
    with pytest.raises(RefqError, match="no scheduler answers there"):
        prove("gelu", scheduler="tcp://127.0.0.1:9")
