/* Runs matmul_neon on the cases of a folder. */
#include <stdint.h>

#include "folder.h"

int32_t matmul_neon(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                    int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y);

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    const char *folder = argv[1];
    int cases = value_of(folder, "cases"), zp = value_of(folder, "zp");
    int n = value_of(folder, "n"), k = value_of(folder, "k"), m = value_of(folder, "m");
    for (int at = 0; at < cases; at++) {
        long size;
        const int8_t *x = read_bytes(folder, at, "x.bin", &size), *w = read_bytes(folder, at, "w.bin", &size);
        const int32_t *bias = read_bytes(folder, at, "bias.bin", &size), *mult = read_bytes(folder, at, "mult.bin", &size);
        const int32_t *left_shift = read_bytes(folder, at, "left_shift.bin", &size);
        int8_t *y = read_bytes(folder, at, "y.bin", &size);
        if (matmul_neon(x, w, bias, mult, left_shift, zp, n, k, m, y))
            return 1;
        write_bytes(folder, at, "y.bin", y, size);
    }
    return 0;
}
