"""sparse: products of sparse weights beside the dense one, one thread: python -m tools.bench.sparse

A product of 197x768x768, weights of which a share is left out; the best of several runs, in milliseconds, and how many times as
long as the dense kernel they take.
"""
from time import perf_counter

import numpy as np

from refq import layouts
from refq.ops import matmul, matmul_bitmap, matmul_blocks, matmul_two_four

N, K, M, RUNS = 197, 768, 768, 15


def best(kernel, *operands):
    acc, times = np.empty((N, M), np.int32), []
    for _ in range(RUNS):
        start = perf_counter()
        kernel(*operands, acc)
        times.append(perf_counter() - start)
    return 1000 * min(times), acc


def main():
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (N, K), np.int8)
    rest = np.zeros(M, np.int32), 3, np.zeros(M, np.int8)
    print(f"{'left out':>8} {'operation':<16} {'ms':>7} {'of dense':>8}")
    for share in (0.5, 0.75, 0.9, 0.95):
        w = rng.integers(-128, 128, (M, K), np.int8)
        pruned = {"matmul_two_four": np.where(rng.random((M * K // 4, 4)).argsort(1).reshape(M, K) < 2, 0, w),
                  "matmul_bitmap": np.where(rng.random((M, K)) < share, 0, w),
                  "matmul_blocks": np.where(np.repeat(rng.random((M, K // 4)) < share, 4, 1), 0, w)}
        dense, _ = best(matmul.kernel(matmul.Row()), x, w, *rest)
        print(f"{share:8.0%} {'matmul':<16} {dense:7.2f}")
        for op, codes in pruned.items():
            if op == "matmul_two_four" and share != 0.5:
                continue
            name, module = {"matmul_two_four": ("two_four", matmul_two_four), "matmul_bitmap": ("bitmap", matmul_bitmap),
                            "matmul_blocks": ("bcsr", matmul_blocks)}[op]
            codes = codes.astype(np.int8)
            parts = layouts.load(name).Layout().pack(codes)
            more = {} if name == "two_four" else {"kept": int(parts["starts"][-1])}
            more |= {"across": K // 4} if name == "bcsr" else {}
            ms, acc = best(module.kernel(module.Row(**more)), x, *parts.values(), *rest)
            assert (acc == best(matmul.kernel(matmul.Row()), x, codes, *rest)[1]).all()
            print(f"{share:8.0%} {op:<16} {ms:7.2f} {ms / dense:8.2f}")


if __name__ == "__main__":
    main()
