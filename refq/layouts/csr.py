"""csr: the codes that are not zero, row by row, each with its column.

    values  (kept)        the kept codes, in order of their rows and columns
    columns (kept)        int32: the column of each
    starts  (rows+1)      int32: where each row begins, and at the end how many there are

source  pytorch/FBGEMM include/fbgemm/FbgemmSparse.h (CSRMatrix: rowPtr, colIdx, values)
"""
from dataclasses import dataclass

import numpy as np

from refq.ints.sparse import Stored, places, rising, runs


@dataclass(frozen=True)
class Layout(Stored):
    PARTS = "values", "columns", "starts"

    def pack(self, codes):
        codes = self.admitted(codes)
        some = codes != self.zero
        starts = np.concatenate([[0], np.cumsum(some.sum(1))]).astype(np.int32)
        return {"values": codes[some], "columns": np.nonzero(some)[1].astype(np.int32), "starts": starts}

    def unpack(self, parts, shape):
        rows, k = shape
        values, starts = self.values(parts), places(parts, "starts", (rows + 1,), self.name)
        columns = places(parts, "columns", (len(values),), self.name)
        runs(starts, len(values), self.name)
        owner = rising(columns, starts, k, self.name)
        codes = self.empty((rows, k))
        codes[owner, columns] = values
        return codes


EVERY = (Layout(),)
CHECK = ((Layout(), [[0, 5, 0], [0, 0, 0], [7, 0, -1]],
          {"values": np.array([5, 7, -1], np.int8), "columns": np.array([1, 0, 2], np.int32),
           "starts": np.array([0, 1, 1, 3], np.int32)}),)
