/* Two signed 4-bit weights in a 16-bit word, 8 bits apart, times an unsigned 4-bit activation: both products at once, widened to
 * 16 bits each in a word of 32, which holds 273 of them. Weights and activations lie two in a byte, the first in the low nibble.
 */
#include <stdint.h>

#if defined DRAINED_LATE
enum { DRAIN = 274 };
#elif defined DRAINED_AT_A_POWER
enum { DRAIN = 512 };
#else
enum { DRAIN = 256 };
#endif

static int nibble(const uint8_t *row, int l)
{
#ifdef NIBBLES_SWAPPED
    return row[l / 2] >> 4 * !(l % 2) & 15;
#else
    return row[l / 2] >> 4 * (l % 2) & 15;
#endif
}

void matmul_agile(const uint8_t *x, const uint8_t *w, const int32_t *bias, int32_t zx, const int8_t *zw, int32_t n, int32_t k,
                  int32_t m, int32_t *acc)
{
    int bytes = (k + 1) / 2;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j += 2) {
            int both = j + 1 < m, seen = 0, filled = 0, sums[2] = {0, 0}, codes[2] = {0, 0};
            uint32_t word = 0;
            for (int l = 0; l < k; l++) {
                int low = (nibble(w + j * bytes, l) ^ 8) - 8, high = both ? (nibble(w + (j + 1) * bytes, l) ^ 8) - 8 : 0;
                int a = x[i * bytes + l / 2] >> 4 * (l % 2) & 15;
#ifdef HALVES_SWAPPED
                int16_t product = (int16_t)((high + low * 256) * a);
#else
                int16_t product = (int16_t)((low + high * 256) * a);
#endif
#ifdef REPAIR_DROPPED
                word += (uint32_t)((int8_t)product + (product >> 8) * 65536);
#else
                word += (uint32_t)((int8_t)product + ((product >> 8) + (product >> 7 & 1)) * 65536);
#endif
                codes[0] += low;
                codes[1] += high;
                seen += a;
                if (++filled == DRAIN || l + 1 == k) {
                    sums[0] += (int16_t)word;
#ifdef SUM_REPAIR_DROPPED
                    sums[1] += (int16_t)(word >> 16);
#else
                    sums[1] += (int16_t)((word >> 16) + (word >> 15 & 1));
#endif
                    filled = 0;
#ifndef NOT_CLEARED
                    word = 0;
#endif
                }
            }
            for (int f = 0; f < 1 + both; f++)
                acc[i * m + j + f] = bias[j + f] + sums[f] - zx * codes[f] - zw[j + f] * seen + k * zx * zw[j + f];
        }
}
