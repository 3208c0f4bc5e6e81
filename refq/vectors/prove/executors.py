"""Executors: where shards run, all by the interface of concurrent.futures."""
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from refq.errors import RefqError


@contextmanager
def here(workers, small):
    """(executor, workers) on this machine: processes; for a domain so small that starting them takes longer, a thread."""
    pool = ThreadPoolExecutor(1) if small else ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        yield pool, 1 if small else workers
    except BrokenProcessPool:
        raise RefqError("a worker process ended by itself, perhaps for lack of memory; take fewer --workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def cluster(address):
    """(executor, workers) of a dask cluster whose scheduler is at that address; a shard whose worker dies runs again
    elsewhere."""
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise RefqError('--scheduler: dask.distributed is not installed; pip install "refq[cluster]" brings it') from None
    try:
        client = Client(address, timeout="5s")
    except (OSError, ValueError, TimeoutError) as e:
        raise RefqError(f"--scheduler {address}: no scheduler answers there ({e}); start one (dask scheduler), or leave "
                        "--scheduler out") from None
    with client:
        executor = client.get_executor(pure=False, retries=3)
        try:
            yield executor, len(client.scheduler_info()["workers"])
        except KilledWorker as e:
            raise RefqError(f"--scheduler {address}: workers died again and again on one shard: {e}") from None
        finally:
            executor.shutdown(wait=False)
