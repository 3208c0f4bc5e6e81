/* A fused int8 layer: y = clip(zp + rescale(sum over k of (x - zx) * (w - zw) + bias)), rounded twice as TFLite does.
 *
 * x (n k), w (m k), y (n m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as it is; with one
 * -DBUG_... it repeats a mistake that was found in a real project: held_out.toml says which, and where it was reported.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, BLOCK = 32, ROWS = 4 };

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

/* The sum of x * w, codes as they are; `end` is the end of all of x. */
static inline int32_t products(const int8_t *x, const int8_t *w, int32_t k, const int8_t *end)
{
    int32_t sum = 0;
    (void)end;
#if defined(BUG_CLEARED_IN_LOOP)
    for (int32_t l = 0; l < k; l++)
        sum = (l % BLOCK ? sum : 0) + x[l] * w[l];
#elif defined(BUG_X_TILE_ONCE)
    for (int32_t l = 0; l < k; l++)
        sum += x[l % LANES] * w[l];
#elif defined(BUG_TAIL_BOUND)
    int8_t held[BLOCK] = {0};
    for (int32_t l = 0; l < k; l += BLOCK) {
        memcpy(held, w + l, (size_t)least(BLOCK, k - l));
        for (int32_t lane = 0; lane < BLOCK; lane++)
            sum += (x + l + lane < end ? x[l + lane] : 0) * held[lane];
    }
#else
    for (int32_t l = 0; l < k; l++)
        sum += x[l] * w[l];
#endif
    return sum;
}

/* The sum of (x - zx) * (w - zw). */
static inline int32_t centred(const int8_t *x, const int8_t *w, int32_t zx, int32_t zw, int32_t k, const int8_t *end)
{
    return products(x, w, k, end) - zx * total(w, k) - zw * total(x, k) + k * zx * zw;
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
#if defined(BUG_FLOOR_SHIFT)
    return x >> s;
#elif defined(BUG_UNSIGNED_HALF)
    return (int32_t)((x + ((1u << s) >> 1)) >> s);
#else
    int32_t mask = (int32_t)((1ll << s) - 1), rest = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> s) + (rest > threshold);
#endif
}

static inline int32_t rescaled(int32_t acc, int32_t mult, int32_t left)
{
#ifdef BUG_ROUNDED_ONCE
    return (int32_t)(((int64_t)acc * mult + (1ll << (30 - left))) >> (31 - left));
#else
#ifdef BUG_MULTIPLIER_OVERFLOW
    if (left > 0)
        mult = INT32_MIN, left = 0;
#endif
    int32_t up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
    return divide_by_power(doubling_high((int32_t)((uint32_t)acc << up), mult), down);
#endif
}

/* The code of an accumulator. */
static inline int8_t code(int32_t acc, int32_t bias, int32_t mult, int32_t left, int32_t zp, int32_t lo, int32_t hi)
{
    int64_t v;
#if defined(BUG_BIAS_UNSCALED)
    v = (int64_t)rescaled(acc, mult, left) + bias;
#elif defined(BUG_BIAS_BEHIND)
    v = (int64_t)rescaled(acc, mult, left) + rescaled(bias, mult, left);
#elif defined(BUG_BIAS_TWICE)
    v = rescaled(acc + bias + bias, mult, left);
#elif defined(BUG_BIAS_DROPPED)
    (void)bias;
    v = rescaled(acc, mult, left);
#elif defined(BUG_SUM_I8)
    v = rescaled((int8_t)acc + bias, mult, left);
#elif defined(BUG_SUM_I16)
    v = rescaled((int16_t)(acc + bias), mult, left);
#else
    v = rescaled(acc + bias, mult, left);
#endif
#ifdef BUG_OUTPUT_WRAPS
    (void)lo, (void)hi;
    return (int8_t)(zp + v);
#else
    return (int8_t)clipped(zp + v, lo, hi);
#endif
}

#if defined(BUG_COLUMN_MAJOR) || defined(BUG_SQUARE)
/* w read as (k m), in rows of k. */
static void turned(const int8_t *w, int32_t k, int32_t m, int8_t *rows)
{
    for (int32_t j = 0; j < m; j++)
        for (int32_t l = 0; l < k; l++)
            rows[(size_t)j * k + l] = w[(size_t)l * m + j];
}
#endif

#ifdef BUG_REPACKED_TAIL
/* Row w as it comes back from a row of `packed`: codes l and l + 16 of a block side by side, and behind them the multiplier. */
static void repacked(const int8_t *w, int32_t k, int32_t mult, int8_t *packed, int8_t *row)
{
    for (int32_t l = 0; l < k; l++)
        packed[l / BLOCK * BLOCK + l % LANES * 2 + l % BLOCK / LANES] = w[l];
    memcpy(packed + k, &mult, sizeof mult);
    for (int32_t l = 0; l < k; l++)
        row[l] = packed[l / BLOCK * BLOCK + l % LANES * 2 + l % BLOCK / LANES];
}
#endif

/* Where the accumulator (i, j) lies: block columns of 16, `rows` high, one behind the other. */
static size_t place(int32_t i, int32_t j, int32_t rows)
{
    return (size_t)(j / LANES * rows + i) * LANES + j % LANES;
}

int32_t field_matmul(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                     const int8_t *zw, int32_t zx, int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t k, int32_t m,
                     int8_t *y)
{
    const int8_t *end = x + (size_t)n * k;
    int32_t *sums = calloc((size_t)(m + LANES) * n + 1, sizeof *sums);
    int8_t *rows = malloc((size_t)m * k + 1), *packed = malloc((size_t)k + BLOCK + sizeof(int32_t));
    int32_t status = !sums || !rows || !packed;
    if (status)
        goto done;
    memcpy(rows, w, (size_t)m * k);
#ifdef BUG_COLUMN_MAJOR
    turned(w, k, m, rows);
#endif
#ifdef BUG_SQUARE
    if (k == m)
        turned(w, k, m, rows);
#endif
#ifdef BUG_REPACKED_TAIL
    for (int32_t j = 0; j < m; j++)
        repacked(w + (size_t)j * k, k, mult[j], packed, rows + (size_t)j * k);
#endif
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < m; j++) {
            int32_t channel = j;
#ifdef BUG_ZERO_POINTS_OF_BLOCK
            channel = j % LANES;
#endif
            size_t to = place(i, j, n);
#ifdef BUG_WINDOW_STRIDE
            int32_t top = i - i % ROWS;
            to = (size_t)top * LANES + place(i % ROWS, j, least(ROWS, n - top));
#endif
            sums[to] = centred(x + (size_t)i * k, rows + (size_t)j * k, zx, zw[channel], k, end);
        }
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < m; j++)
            y[(size_t)i * m + j] = code(sums[place(i, j, n)], bias[j], mult[j], left_shift[j], zp, lo, hi);
done:
    free(sums);
    free(rows);
    free(packed);
    return status;
}
