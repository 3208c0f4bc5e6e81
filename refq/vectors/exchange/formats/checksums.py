"""checksums: checksums.txt with two position-weighted sums of every tensor and tile (refq/vectors/exchange/checksum.py has the
formula), and checksum.h, the C99 function that a device computes them by. `tile`: codes in a tile, row-major.
"""
from refq.errors import IllFormed
from refq.vectors.exchange import checksum


def export(chosen, folder, *, tile=1024):
    if tile < 1:
        raise IllFormed(f"--tile {tile}: a tile has at least 1 code")
    entries = []
    with open(folder / "checksums.txt", "w", encoding="utf-8") as out:
        out.write(f"# tensor case tile sum weighted\n# tile {tile}\n")
        for name, case, codes in chosen.arrays():
            if case is not None:
                out.writelines(checksum.line(name, case, *row) for row in checksum.tiles(codes, tile))
                entries.append(chosen.entry(name, case, file="checksums.txt", key=name, tile=tile))
    (folder / "checksum.h").write_text("#ifndef REFQ_CHECKSUM_H\n#define REFQ_CHECKSUM_H\n#include <stddef.h>\n"
                                       f"#include <stdint.h>\n#include <string.h>\n\n{checksum.C}\n#endif\n")
    return entries
