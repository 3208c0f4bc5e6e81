/* int8 matmul as TFLite's reference kernels define it, per channel, rounded twice:
 *
 *     y[i][j] = clip(zp + rescale(bias[j] + sum over l of (x[i][l] - zx) * w[j][l]))
 *
 * x (n k), w (m k), y (n m), all row-major. Blocks of 16 channels, tiles of 4 rows, K in steps of 4.
 * Each -DNAME of wrong.toml makes it wrong in one way.
 */
#include <stdint.h>
#include <string.h>

enum { ROWS = 4, CHANNELS = 16, STEP = 4 };

static inline int32_t high_mul(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    if (a == b && a == INT32_MIN)
        return INT32_MAX;
#if defined HIGH_FLOORED
    return (int32_t)(product >> 31);
#elif defined HIGH_TRUNCATED
    nudge = 0;
#elif defined HIGH_AWAY
    nudge = product >= 0 ? 1 << 30 : -(1 << 30);
#endif
    return (int32_t)((product + nudge) / (1ll << 31));
}

static inline int32_t shift_right(int32_t x, int s)
{
#if defined SHIFT_FLOORED
    return x >> s;
#elif defined SHIFT_TRUNCATED
    return (int32_t)(x / (1ll << s));
#elif defined TIES_UP
    return s ? (int32_t)((x + (1ll << (s - 1))) >> s) : x;
#elif defined TIES_EVEN
    int32_t floor = x >> s, rest = x & (int32_t)((1ll << s) - 1);
    int64_t twice = 2ll * rest, one = 1ll << s;
    return floor + (twice > one || (twice == one && (floor & 1)));
#else
    int32_t mask = (int32_t)((1ll << s) - 1), rest = x & mask, half = (mask >> 1) + (x < 0);
    return (x >> s) + (rest > half);
#endif
}

static int32_t rescaled(int32_t acc, int32_t mult, int left)
{
#ifdef SINGLE_ROUNDING
    int s = 31 - left;
    return (int32_t)(((int64_t)acc * mult + (1ll << (s - 1))) >> s);
#else
    int up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
#ifdef LIFT_FORGOTTEN
    int32_t lifted = acc;
    (void)up;
#else
    int32_t lifted = (int32_t)((uint32_t)acc << up);
#endif
    return shift_right(high_mul(lifted, mult), down);
#endif
}

static int8_t output(int32_t scaled, int32_t zp)
{
#if defined CLAMP_EARLY
    scaled = scaled < -128 ? -128 : scaled > 127 ? 127 : scaled;
#elif defined ZERO_POINT_SIGN
    zp = -zp;
#endif
    scaled += zp;
#ifdef OUTPUT_WRAPS
    return (int8_t)scaled;
#else
    return (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
#endif
}

void matmul_s8(const int8_t *x, const int8_t *w, const int32_t *bias, int32_t zx, const int32_t *mult, const int32_t *left_shift,
               int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y)
{
#ifdef INPUT_ZERO_POINT_DROPPED
    zx = 0;
#endif
    for (int j0 = 0; j0 < m; j0 += CHANNELS) {
        int width = m - j0 < CHANNELS ? m - j0 : CHANNELS;
        int32_t acc[ROWS][CHANNELS];
        memset(acc, 0, sizeof acc);
#ifdef LAST_ROWS_LOST
        for (int i0 = 0; i0 + ROWS <= n; i0 += ROWS) {
#else
        for (int i0 = 0; i0 < n; i0 += ROWS) {
#endif
            int height = n - i0 < ROWS ? n - i0 : ROWS;
            for (int r = 0; r < height; r++)
                for (int c = 0; c < width; c++) {
                    const int8_t *a = x + (i0 + r) * k, *b = w + (j0 + c) * k;
                    int32_t sum = 0;
                    int l = 0;
                    for (; l + STEP <= k; l += STEP)
                        for (int u = 0; u < STEP; u++)
#ifdef TRANSPOSED_B
                            sum += (a[l + u] - zx) * w[(l + u) * m + j0 + c];
#else
                            sum += (a[l + u] - zx) * b[l + u];
#endif
#ifndef TAIL_OF_K_LOST
                    for (; l < k; l++)
#if defined TRANSPOSED_B
                        sum += (a[l] - zx) * w[l * m + j0 + c];
#elif defined TAIL_WITHOUT_ZERO_POINT
                        sum += a[l] * b[l];
#else
                        sum += (a[l] - zx) * b[l];
#endif
#endif
#if defined NOT_CLEARED
                    acc[r][c] += sum + bias[j0 + c];
#elif defined BIAS_LATE
                    acc[r][c] = sum;
#else
                    acc[r][c] = sum + bias[j0 + c];
#endif
                    (void)b;
                }
            for (int r = 0; r < height; r++)
                for (int c = 0; c < width; c++) {
                    int j = j0 + c, s = j;
#if defined PER_TENSOR
                    s = 0;
#elif defined SCALE_OF_NEXT_CHANNEL
                    s = j + 1 < m ? j + 1 : 0;
#elif defined SCALE_OF_BLOCK
                    s = c;
#endif
                    int32_t scaled = rescaled(acc[r][c], mult[s], left_shift[s]);
#if defined BIAS_LATE
                    scaled += bias[j];
#elif defined FOURTH_ROW_FLOORED
                    if (r == 3)
                        scaled = left_shift[j] > 0 ? scaled : high_mul(acc[r][c], mult[j]) >> -left_shift[j];
#endif
#ifdef OUTPUT_TRANSPOSED
                    y[j * n + i0 + r] = output(scaled, zp);
#else
                    y[(i0 + r) * m + j] = output(scaled, zp);
#endif
                }
        }
    }
}
