/* Two unsigned 4-bit codes in a word, 12 bits apart, activations low first and weights high first: the middle field of a product
 * adds up both of their products; 9 of them fit, 8 are added up, and it joins where it stands.
 */
#include <stdint.h>

#if defined DRAINED_LATE
enum { DRAIN = 10 };
#elif defined DRAINED_HALF_AS_OFTEN
enum { DRAIN = 16 };
#else
enum { DRAIN = 8 };
#endif
enum { APART = 12, DRAINS = 256 };

void matmul_ulppack(const uint8_t *x, const uint8_t *w, const int32_t *bias, int32_t zx, const uint8_t *zw, int32_t n, int32_t k,
                    int32_t m, int32_t *acc)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            const uint8_t *a = x + i * k, *b = w + j * k;
            uint32_t sum = 0, held = 0;
            int32_t total = 0, seen = 0, codes = 0, filled = 0, drained = 0;
            for (int l = 0; l < k; l += 2) {
                uint32_t a1 = l + 1 < k ? a[l + 1] : 0, b1 = l + 1 < k ? b[l + 1] : 0;
#ifdef HALVES_SWAPPED
                sum += (a[l] + (a1 << APART)) * (b[l] + (b1 << APART));
#else
                sum += (a[l] + (a1 << APART)) * (b1 + ((uint32_t)b[l] << APART));
#endif
                seen += a[l] + a1;
                codes += b[l] + b1;
                if (++filled == DRAIN || l + 2 >= k) {
                    held += sum & ((1u << APART) - 1) << APART;
                    filled = 0;
#ifndef NOT_CLEARED
                    sum = 0;
#endif
                    if (++drained == DRAINS || l + 2 >= k) {
                        total += held >> APART;
                        held = 0, drained = 0;
                    }
                }
            }
            acc[i * m + j] = bias[j] + total - zx * codes - zw[j] * seen + k * zx * zw[j];
        }
}
