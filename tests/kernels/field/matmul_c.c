/* A fused int8 layer: y = clip(zp + rescale(sum over k of (x - zx) * (w - zw) + bias)), rounded twice as TFLite does.
 *
 * x (n k), w (m k), y (n m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as it is; with one
 * -DBUG_... it repeats a mistake that was found in a real project: third.toml says which, and where it was reported.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, BLOCK = 32, WIDE = 64, WARPS = 3, ROWS = 4 };

static inline int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t clipped(int64_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

static inline int32_t total(const int8_t *v, int32_t k)
{
    int32_t sum = 0;
    for (int32_t l = 0; l < k; l++)
        sum += v[l];
    return sum;
}

/* The sum of x * w, codes as they are. */
static inline int32_t products(const int8_t *x, const int8_t *w, int32_t k)
{
    int32_t sum = 0;
#if defined(BUG_K_FLOOR)
    for (int32_t step = 0; step < k / LANES; step++)
        for (int32_t l = step * LANES; l < (step + 1) * LANES; l++)
            sum += x[l] * w[l];
#elif defined(BUG_EIGHT_OF_64)
    for (int32_t l = 0; l < k; l += WIDE)
        for (int32_t lane = l; lane < least(l + 8, k); lane++)
            sum += x[lane] * w[lane];
#elif defined(BUG_HALF_OFFSET)
    for (int32_t l = 0; l < k; l++)
        sum += x[l] * w[l / BLOCK * LANES + l % BLOCK];
#elif defined(BUG_SPLIT_SPILL)
    int32_t part = k % LANES ? k : LANES;
    for (int32_t from = 0; from < k; from += part)
        for (int32_t l = from; l < least(from + (part > BLOCK ? part : BLOCK), k); l++)
            sum += x[l] * w[l];
#elif defined(BUG_LANE_BORROW)
    int32_t l = 0;
    for (; l + 4 <= k; l += 4) {
        uint32_t word;
        int8_t lanes[4];
        memcpy(&word, w + l, sizeof word);
        word = (word ^ 0x80808080u) - 0x80808080u;
        memcpy(lanes, &word, sizeof word);
        for (int32_t lane = 0; lane < 4; lane++)
            sum += x[l + lane] * lanes[lane];
    }
    for (; l < k; l++)
        sum += x[l] * w[l];
#else
    for (int32_t l = 0; l < k; l++)
        sum += x[l] * w[l];
#endif
    return sum;
}

/* The sum of (x - zx) * (w - zw); the first `reduced` of the products are added. */
static inline int32_t centred(const int8_t *x, const int8_t *w, int32_t zx, int32_t zw, int32_t k, int32_t reduced)
{
    int32_t places = k;
#ifdef BUG_PADDED_ZERO_POINTS
    places = (k + LANES - 1) / LANES * LANES;
#endif
    return products(x, w, reduced) - zx * total(w, k) - zw * total(x, k) + places * zx * zw;
}

static inline int32_t doubling_high(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((product + nudge) / (1ll << 31));
}

static inline int32_t divide_by_power(int32_t x, int32_t s)
{
    int32_t mask = (int32_t)((1ll << s) - 1), rest = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> s) + (rest > threshold);
}

static inline int32_t rescaled(int32_t acc, int32_t mult, int32_t left)
{
    int32_t up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
    return divide_by_power(doubling_high((int32_t)((uint32_t)acc << up), mult), down);
}

/* The code of an accumulator. */
static inline int8_t code(int32_t acc, int32_t bias, int32_t mult, int32_t left, int32_t zp, int32_t lo, int32_t hi)
{
#ifdef BUG_BIAS_PRESCALED
    bias = rescaled(bias, mult, left);
#endif
    int64_t v = rescaled(acc + bias, mult, left);
#ifdef BUG_ZP_WRAPS_I16
    return (int8_t)clipped((int16_t)(clipped(v, INT16_MIN, INT16_MAX) + zp), lo, hi);
#else
    return (int8_t)clipped(zp + v, lo, hi);
#endif
}

/* The zero points of w, two bytes for each, as the kernel reads them; NULL where memory is short. */
static int16_t *zero_points(const int8_t *zw, int32_t k, int32_t m)
{
    int16_t *wide = calloc((size_t)m + 1, sizeof *wide);
    int as_they_are = 0;
    (void)k;
    if (!wide)
        return NULL;
#ifdef BUG_ZERO_POINT_BYTES
    as_they_are = k % BLOCK != 0;
#endif
    if (as_they_are)
        memcpy(wide, zw, (size_t)m);
    else
        for (int32_t j = 0; j < m; j++)
            wide[j] = zw[j];
    return wide;
}

#ifdef BUG_SUMS_I16
/* The sums as 16-bit numbers in a row, read as 32-bit numbers: the first half of the buffer holds pairs, the second nothing. */
static void narrowed(int32_t *sums, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        int16_t half = (int16_t)sums[at];
        memcpy((char *)sums + at * sizeof half, &half, sizeof half);
    }
    memset((char *)sums + count * sizeof(int16_t), 0, count * sizeof(int16_t));
}
#endif

int32_t field_matmul(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                     const int8_t *zw, int32_t zx, int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t k, int32_t m,
                     int8_t *y)
{
    int32_t rows = n;
    int32_t *sums = calloc((size_t)n * m + 1, sizeof *sums);
    int16_t *zeros = zero_points(zw, k, m);
    int32_t status = !sums || !zeros;
    if (status)
        goto done;
#ifdef BUG_ROWS_LEFT
    rows = n - n % ROWS;
    memset(y, 0, (size_t)n * m);
#endif
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < m; j++) {
            int32_t row = j, reduced = k;
#ifdef BUG_FIRST_WARP_ROWS
            row = j - j % LANES + j % ROWS;
#endif
#ifdef BUG_REDUCED_TAIL
            if (j % LANES >= least(LANES, m - (j - j % LANES)) / WARPS * WARPS)
                reduced = (k + WARPS - 1) / WARPS;
#endif
            sums[(size_t)i * m + j] = centred(x + (size_t)i * k, w + (size_t)row * k, zx, zeros[j], k, reduced);
        }
#ifdef BUG_SUMS_I16
    narrowed(sums, (size_t)n * m);
#endif
    for (int32_t i = 0; i < rows; i++)
        for (int32_t j = 0; j < m; j++) {
            int32_t channel = j;
#ifdef BUG_PER_TENSOR
            channel = 0;
#endif
            y[(size_t)i * m + j] = code(sums[(size_t)i * m + j], bias[j], mult[channel], left_shift[channel], zp, lo, hi);
        }
done:
    free(sums);
    free(zeros);
    return status;
}
