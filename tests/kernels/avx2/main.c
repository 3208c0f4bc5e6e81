/* Runs matmul_u8s8 on the cases of a folder. */
#include <stdint.h>

#include "folder.h"

void matmul_u8s8(const uint8_t *x, const int8_t *w, const int32_t *bias, const float *scale, int32_t zp, int32_t n, int32_t k,
                 int32_t m, uint8_t *y);

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    const char *folder = argv[1];
    int cases = value_of(folder, "cases"), zp = value_of(folder, "zp");
    int n = value_of(folder, "n"), k = value_of(folder, "k"), m = value_of(folder, "m");
    for (int at = 0; at < cases; at++) {
        long size;
        const uint8_t *x = read_bytes(folder, at, "x.bin", &size);
        const int8_t *w = read_bytes(folder, at, "w.bin", &size);
        const int32_t *bias = read_bytes(folder, at, "bias.bin", &size);
        const float *scale = read_bytes(folder, at, "scale.bin", &size);
        uint8_t *y = read_bytes(folder, at, "y.bin", &size);
        matmul_u8s8(x, w, bias, scale, zp, n, k, m, y);
        write_bytes(folder, at, "y.bin", y, size);
    }
    return 0;
}
