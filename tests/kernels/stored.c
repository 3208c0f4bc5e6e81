/* The sums of an int8 layer with int4 weights: w (m k), two along k a byte, the first in the high bits; rows of x 16 apart;
 * acc in tiles of 4 columns whose padding is 0. Any number of rows. Returns 7 when it is done. -DDIRTY: padding is not cleared;
 * -DUNSIGNED: nibbles are not sign-extended; -DUNCLEARED: the workspace is taken to be 0.
 */
#include <stdint.h>

int32_t stored(const int8_t *x, const uint8_t *w, const int32_t *bias, int32_t zx, int32_t n, int32_t k, int32_t m,
               int32_t *scratch, int32_t *acc)
{
    int pitch = (k + 1) / 2, tiles = (m + 3) / 4;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < m; j++) {
#ifndef UNCLEARED
            scratch[j] = 0;
#endif
            for (int l = 0; l < k; l++) {
                int nibble = w[j * pitch + l / 2] >> (l % 2 ? 0 : 4) & 15;
#ifndef UNSIGNED
                nibble -= nibble >> 3 << 4;
#endif
                scratch[j] += (x[i * 16 + l] - zx) * nibble;
            }
            acc[(i * tiles + j / 4) * 4 + j % 4] = scratch[j] + bias[j];
        }
#ifndef DIRTY
        for (int j = m; j < 4 * tiles; j++)
            acc[(i * tiles + j / 4) * 4 + j % 4] = 0;
#endif
    }
    return 7;
}
