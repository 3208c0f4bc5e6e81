/* Weights of which two of every four are stored: values (m h), h = k / 2, and a nibble of metadata for each quad, eight in a word
 * of 32 bits, the first lowest: the place of the first value in bits 0 and 1, that of the second in bits 2 and 3.
 */
#include <stdint.h>

void matmul_two_four(const int8_t *x, const int8_t *values, const uint32_t *meta, const int32_t *bias, int32_t zx,
                     const int8_t *zw, int32_t n, int32_t k, int32_t m, int32_t h, int32_t b, int32_t *acc)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            int32_t sum = bias[j];
            for (int e = 0; e < h; e++) {
                int quad = e / 2, at = quad % 8, second = e % 2;
                uint32_t word = meta[j * b + quad / 8];
#if defined METADATA_TRUNCATED
                word = (uint16_t)word;
#elif defined LAST_METADATA_LOST
                word = quad / 8 + 1 < b ? word : 0;
#elif defined NIBBLES_SWAPPED
                at ^= 1;
#elif defined HIGH_NIBBLE_FIRST
                at = 7 - at;
#elif defined PLACES_EXCHANGED
                second = !second;
#endif
                sum += (x[i * k + 4 * quad + (word >> (4 * at + 2 * second) & 3)] - zx) * (values[j * h + e] - zw[j]);
            }
            acc[i * m + j] = sum;
        }
}
