/* Two 4-bit weights in one 32-bit word, 16 bits apart, times one unsigned 4-bit activation: two products in one multiplication.
 *
 * The row is refq.ints.lanes.Lanes(U32, 2, 16, "borrow", code=(-8, 7), shared=(0, 15)): channel j in the low field, channel
 * j + 1 in the high one, packed with their signs, so that a negative low field borrows from the high one. A field holds 273
 * products (273 * 15 * -8 = -32760); then it is drained into 32 bits.
 */
#include <stdint.h>

#if defined DRAINED_LATE
enum { DRAIN = 274 };
#elif defined DRAINED_AS_UNSIGNED
enum { DRAIN = 291 };
#elif defined DRAINED_AT_A_POWER
enum { DRAIN = 512 };
#else
enum { DRAIN = 273 };
#endif

static uint32_t pack(int low, int high)
{
#if defined BIASED
    return (uint32_t)(low + 8) + ((uint32_t)(high + 8) << 16);
#elif defined SIGN_NOT_CARRIED
    return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
#elif defined FIELDS_SWAPPED
    return (uint32_t)high + ((uint32_t)low << 16);
#elif defined NIBBLES_UNSIGNED
    return (uint32_t)(low & 15) + ((uint32_t)(high & 15) << 16);
#else
    return (uint32_t)low + ((uint32_t)high << 16);
#endif
}

static void drain(uint32_t word, int32_t *low, int32_t *high)
{
#if defined LOW_UNSIGNED
    *low += (int32_t)(word & 0xffff);
#else
    *low += (int16_t)word;
#endif
#if defined BORROW_FORGOTTEN
    *high += (int16_t)(word >> 16);
#elif defined BORROW_TWICE
    *high += (int16_t)((word >> 16) + 2 * (word >> 15 & 1));
#elif defined HIGH_UNSIGNED
    *high += (int32_t)(((word >> 16) + (word >> 15 & 1)) & 0xffff);
#else
    *high += (int16_t)((word >> 16) + (word >> 15 & 1));
#endif
}

void matmul_swar(const uint8_t *x, const int8_t *w, const int32_t *bias, int32_t n, int32_t k, int32_t m, int32_t *acc)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j += 2) {
            const int8_t *first = w + j * k, *second = j + 1 < m ? first + k : first;
            int32_t low = bias[j], high = j + 1 < m ? bias[j + 1] : 0;
#ifdef BIAS_IN_LOW_ONLY
            high = 0;
#endif
            uint32_t word = 0;
            int filled = 0;
            for (int l = 0; l < k; l++) {
                word += pack(first[l], second[l]) * x[i * k + l];
                if (++filled == DRAIN) {
                    drain(word, &low, &high);
#ifndef NOT_CLEARED_AFTER_DRAIN
                    word = 0;
#endif
                    filled = 0;
                }
            }
#ifdef LAST_DRAIN_LOST
            if (k < DRAIN)
#endif
                drain(word, &low, &high);
#if defined ODD_CHANNEL_LOST
            if (j + 1 == m)
                low = 0;
#elif defined FIELDS_EXCHANGED
            if (j + 1 < m) {
                acc[i * m + j] = high;
                acc[i * m + j + 1] = low;
                continue;
            }
#endif
            acc[i * m + j] = low;
            if (j + 1 < m)
                acc[i * m + j + 1] = high;
        }
}
