/* 4-bit weights, two in a byte, times 8-bit activations; per-channel rescale rounded once, half up:
 *
 *     y[i][j] = clip(zp + ((bias[j] + sum over l of (x[i][l] - zx) * w[j][l]) * mult[j] + half) >> shift[j])
 *
 * x (n k), y (n m); a channel of w has (k + 1) / 2 bytes, code 2t in the low nibble of byte t, code 2t + 1 in the high one.
 * 16 codes are read at a time, the rest one by one.
 */
#include <stdint.h>

enum { BODY = 16 };

static int low_of(uint8_t byte)
{
#if defined UNSIGNED_NIBBLES || defined LOW_UNSIGNED
    return byte & 15;
#elif defined NIBBLES_SWAPPED
    return (int8_t)byte >> 4;
#elif defined OFFSET_BINARY
    return (byte & 15) - 8;
#elif defined LOW_PROMOTED
    return byte << 4 >> 4;
#elif defined SIGN_AND_MAGNITUDE
    return byte & 8 ? -(byte & 7) : byte & 7;
#else
    return ((byte & 15) ^ 8) - 8;
#endif
}

static int high_of(uint8_t byte)
{
#if defined UNSIGNED_NIBBLES || defined HIGH_UNSIGNED
    return byte >> 4;
#elif defined NIBBLES_SWAPPED
    return ((byte & 15) ^ 8) - 8;
#elif defined OFFSET_BINARY
    return (byte >> 4) - 8;
#elif defined SIGN_AND_MAGNITUDE
    return byte & 128 ? -(byte >> 4 & 7) : byte >> 4 & 7;
#else
    return (int8_t)byte >> 4;
#endif
}

static int32_t dot(const int8_t *x, int32_t zx, const uint8_t *w, int k)
{
#ifdef SUM_OF_16_BITS
    int16_t sum = 0;
#else
    int32_t sum = 0;
#endif
    int l = 0;
    for (; l + BODY <= k; l += BODY)
        for (int u = 0; u < BODY; u += 2)
            sum += (x[l + u] - zx) * low_of(w[(l + u) / 2]) + (x[l + u + 1] - zx) * high_of(w[(l + u) / 2]);
#if defined TAIL_LOW_ONLY
    for (; l < k; l++)
        sum += (x[l] - zx) * low_of(w[l / 2]);
#elif defined ODD_LAST_LOST
    for (; l + 2 <= k; l += 2)
        sum += (x[l] - zx) * low_of(w[l / 2]) + (x[l + 1] - zx) * high_of(w[l / 2]);
#elif !defined TAIL_LOST
    for (; l < k; l++)
        sum += (x[l] - zx) * (l % 2 ? high_of(w[l / 2]) : low_of(w[l / 2]));
#endif
    return sum;
}

void matmul_w4(const int8_t *x, const uint8_t *w, const int32_t *bias, int32_t zx, const int32_t *mult, const int8_t *shift,
               int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y)
{
#ifdef BYTES_TOO_FEW
    int bytes = k / 2;
#else
    int bytes = (k + 1) / 2;
#endif
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            int64_t acc = bias[j] + dot(x + i * k, zx, w + j * bytes, k);
#if defined FLOORED
            int64_t scaled = acc * mult[j] >> shift[j];
#elif defined HALF_AWAY
            int64_t half = 1ll << (shift[j] - 1), wide = acc * mult[j];
            int64_t scaled = wide < 0 ? -((half - wide) >> shift[j]) : (wide + half) >> shift[j];
#elif defined SHIFT_TOO_LONG
            int64_t scaled = (acc * mult[j] + (1ll << shift[j])) >> (shift[j] + 1);
#else
            int64_t scaled = (acc * mult[j] + (1ll << (shift[j] - 1))) >> shift[j];
#endif
            scaled += zp;
            y[i * m + j] = (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
        }
}
