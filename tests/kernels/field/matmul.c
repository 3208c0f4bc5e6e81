/* A fused int8 layer: y = clip(zp + rescale(sum over k of (x - zx) * (w - zw) + bias)), rounded twice as TFLite does.
 *
 * x (n k), w (m k), y (n m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as it is; with one
 * -DBUG_... it repeats a mistake that was found in a real project: wrong.toml says which, and where it was reported.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16 };

static inline int32_t least(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t clipped(int64_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

static inline int32_t weight(int8_t code)
{
#ifdef BUG_WEIGHTS_TO_U8
    return clipped(code, 0, 255);
#else
    return code;
#endif
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
#if defined(BUG_PAIR_SATURATION)
    for (int32_t l = 0; l < k; l += 2) {
        int32_t pair = (x[l] + 128) * w[l] + (l + 1 < k ? (x[l + 1] + 128) * w[l + 1] : 0);
        sum += clipped(pair, INT16_MIN, INT16_MAX);
    }
    return sum - 128 * total(w, k);
#elif defined(BUG_LANE16)
    int32_t l = 0;
    for (; l + LANES <= k; l += LANES)
        for (int32_t lane = l; lane < l + 8; lane++)
            sum += (int16_t)(x[lane] * w[lane] + x[lane + 8] * w[lane + 8]);
    for (; l < k; l++)
        sum += x[l] * w[l];
    return sum;
#elif defined(BUG_SIGN_MOVED)
    for (int32_t l = 0; l < k; l++) {
        int8_t signed_x = w[l] < 0 ? (int8_t)-x[l] : w[l] > 0 ? x[l] : 0;
        sum += abs(w[l]) * signed_x;
    }
    return sum;
#elif defined(BUG_UNSIGNED_MAC)
    for (int32_t l = 0; l < k; l++)
        sum += (uint8_t)x[l] * (uint8_t)w[l];
    return sum;
#elif defined(BUG_TAIL_NOT_CONVERTED)
    int32_t body = k - k % 4;
    for (int32_t l = 0; l < body; l++)
        sum += x[l] * (uint8_t)(w[l] ^ 0x80);
    for (int32_t l = body; l < k; l++)
        sum += x[l] * (uint8_t)w[l];
    return sum - 128 * total(x, k);
#elif defined(BUG_RESIDUE)
    int32_t tile = 32, residue = k % 16 != 0;
    for (int32_t l = 0; l < (residue ? k : k - k % tile); l++)
        sum += x[l] * w[l];
    return sum;
#else
    for (int32_t l = 0; l < k; l++)
        sum += x[l] * weight(w[l]);
    return sum;
#endif
}

static inline int32_t weights_total(const int8_t *w, int32_t k)
{
    int32_t sum = 0;
#ifdef BUG_TAIL_LANES
    int32_t lanes[LANES] = {0};
    for (int32_t l = 0; l < k; l += LANES)
        for (int32_t lane = 0; lane < LANES; lane++)
            lanes[lane] = l + lane < k ? lanes[lane] + w[l + lane] : -1;
    for (int32_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
#else
    for (int32_t l = 0; l < k; l++)
        sum += weight(w[l]);
#endif
    return sum;
}

/* The sum of (x - zx) * (w - zw); `weights` is the sum of w. */
static inline int32_t centred(const int8_t *x, const int8_t *w, int32_t zx, int32_t zw, int32_t weights, int32_t k)
{
#if defined(BUG_DIFFERENCE_I8)
    int32_t sum = 0;
    (void)weights;
    for (int32_t l = 0; l < k; l++)
        sum += (int8_t)(x[l] - zx) * (int8_t)(w[l] - zw);
    return sum;
#else
#ifdef BUG_OFFSETS_ADDED
    zx = -zx, zw = -zw;
#endif
    return products(x, w, k) - zx * weights - zw * total(x, k) + k * zx * zw;
#endif
}

static inline int32_t doubling_high(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((product + nudge) / (1ll << 31));
}

static inline int32_t divide_by_power(int32_t x, int32_t s, int body)
{
    int32_t mask = (int32_t)((1ll << s) - 1), rest = x & mask, threshold = (mask >> 1) + (x < 0);
    (void)body;
#if defined(BUG_TIES_UP)
    threshold = mask >> 1;
#elif defined(BUG_BODY_TIES)
    if (body)
        threshold = (mask >> 1) + !(x >> s & 1);
#elif defined(BUG_SHIFT_ZERO)
    if (s == 0)
        return (int32_t)((uint32_t)x + (1u << 31));
#endif
    return (x >> s) + (rest > threshold);
}

static inline int32_t rescaled(int32_t acc, int32_t mult, int32_t left, int body)
{
    int32_t up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
#ifdef BUG_LEFT_SHIFT_SIGN
    up = -up & 31;
#endif
    return divide_by_power(doubling_high((int32_t)((uint32_t)acc << up), mult), down, body);
}

static inline int8_t narrowed(int64_t v, int32_t zp, int32_t lo, int32_t hi)
{
#if defined(BUG_CLAMP_FIRST)
    return (int8_t)(zp + clipped(v, lo, hi));
#elif defined(BUG_CLAMP_255)
    (void)hi;
    return (int8_t)clipped(zp + v, lo, 255);
#else
    return (int8_t)clipped(zp + v, lo, hi);
#endif
}

#ifdef BUG_STREAM_K_BIAS
/* Are the steps of the tile that holds (i, j) done by more than one of three workers? */
static int shared_tile(int32_t i, int32_t j, int32_t n, int32_t k, int32_t m)
{
    int32_t across = (m + 15) / 16, steps = (k + 31) / 32, tile = i / 4 * across + j / 16;
    int32_t each = ((n + 3) / 4 * across * steps + 2) / 3;
    return tile * steps / each != (tile * steps + steps - 1) / each;
}
#endif

int32_t field_matmul(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                     const int8_t *zw, int32_t zx, int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t k, int32_t m,
                     int8_t *y)
{
    int32_t rows = n, columns = m, stride = k;
#ifdef BUG_FLOOR_TILES
    columns = m / LANES * LANES;
#endif
#ifdef BUG_STORE_ORDER
    rows = (n + 3) / 4 * 4;
#endif
#ifdef BUG_STALE_TILE
    int32_t tile[4][LANES] = {{0}};
#endif
#ifdef BUG_PACKED_STRIDE
    int32_t padded = (k + 15) / 16 * 16;
    int8_t *packed = calloc((size_t)m * padded + 1, 1);
    if (!packed)
        return 1;
    for (int32_t j = 0; j < m; j++)
        memcpy(packed + (size_t)j * padded, w + (size_t)j * k, (size_t)k);
    w = packed;
#endif
    for (int32_t i = 0; i < rows; i++) {
        const int8_t *xi = x + (size_t)(i < n ? i : (i - n) % n) * k;
        int8_t *yi = y + (size_t)least(i, n - 1) * m;
#ifdef BUG_BATCH_OUTPUT
        yi = y;
#endif
        for (int32_t j = 0; j < columns; j++) {
            int32_t body = j < m - m % LANES, from = j, channel = j, added = bias[j];
#ifdef BUG_SUM_LANE
            from = j % 4 == 3 ? j - 1 : j;
#endif
#ifdef BUG_CHANNEL_BLOCK
            channel = j % LANES;
#endif
#ifdef BUG_CHANNEL_ROW
            channel = i % m;
#endif
#ifdef BUG_BIAS_BYTES
            added = ((const int8_t *)bias)[j];
#endif
#ifdef BUG_STREAM_K_BIAS
            added = shared_tile(i, j, n, k, m) ? 0 : bias[j];
#endif
            const int8_t *wj = w + (size_t)j * stride;
            int32_t acc = centred(xi, wj, zx, zw[j], weights_total(w + (size_t)from * stride, k), k);
#ifdef BUG_STALE_TILE
            acc = tile[i % 4][j % LANES] += acc;
#endif
            yi[j] = narrowed(rescaled(acc + added, mult[channel], left_shift[channel], body), zp, lo, hi);
        }
    }
#ifdef BUG_PACKED_STRIDE
    free(packed);
#endif
    return 0;
}
