/* A fused int8 layer as TFLite defines it: y = clip(zp + rescale(sum over k of (x - zx) * w + bias)), rounded twice.
 *
 * x (n k), w (m k) row-major; bias already holds -zx * sum of w. Compile with -DSINGLE_ROUNDING for one rounding, half up, at
 * the end; -DTIES_UP for the second rounding half up; -DCRASH, -DSPIN, -DFAIL, -DOVERRUN, -DOVERREAD (a page past x), -DSCRIBBLE
 * (over x), -DLAZY (some of y is not written), -DSTICKY (what is there stays, if larger), -DSTATEFUL, -DCHANCE (the clock is in
 * it), -DNOISY (it prints without end) and -DLEAVE (it ends its process) for kernels that misbehave; with -DCRASH=3
 * it crashes only where the first code of x is 3.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef SINGLE_ROUNDING
static int32_t rescaled(int32_t acc, int32_t mult, int left)
{
    int shift = 31 - left;
    return (int32_t)(((int64_t)acc * mult + (1ll << (shift - 1))) >> shift);
}
#else
static int32_t doubling_high(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((product + nudge) / (1ll << 31));
}

static int32_t divide_by_power(int32_t x, int s)
{
#ifdef TIES_UP
    return s ? (int32_t)(((int64_t)x + (1ll << (s - 1))) >> s) : x;
#else
    int32_t mask = (int32_t)((1ll << s) - 1), rest = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> s) + (rest > threshold);
#endif
}

static int32_t rescaled(int32_t acc, int32_t mult, int left)
{
    int up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
    return divide_by_power(doubling_high((int32_t)((uint32_t)acc << up), mult), down);
}
#endif

int32_t matmul_int8(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                    int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t k, int32_t m, int8_t *y)
{
#ifdef CRASH
    if (CRASH == 1 || x[0] == CRASH)
        *(volatile int8_t *)(intptr_t)lo = 1;
#endif
#ifdef SPIN
    for (volatile int forever = 1; forever;)
        ;
#endif
#ifdef FAIL
    return 3;
#endif
#ifdef OVERRUN
    y[n * m] = 0;
#endif
#ifdef OVERREAD
    zp += *(volatile const int8_t *)(x + n * k + 4096) & 0;
#endif
#ifdef NOISY
    for (int line = 0; line < 1 << 12; line++)
        puts("\001garbage \377 \033[2J");
#endif
#ifdef LEAVE
    exit(0);
#endif
#ifdef SCRIBBLE
    ((int8_t *)(intptr_t)x)[n * k - 1] ^= 1;
#endif
#ifdef STATEFUL
    static int calls;
    zp += calls++ % 2;
#endif
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            int32_t acc = bias[j];
            for (int l = 0; l < k; l++)
                acc += (int32_t)x[i * k + l] * w[j * k + l];
            int32_t code = zp + rescaled(acc, mult[j], left_shift[j]);
            code = code < lo ? lo : code > hi ? hi : code;
#ifdef CHANCE
            struct timespec now;
            timespec_get(&now, TIME_UTC);
            code ^= now.tv_nsec >> 4 & 1;
#endif
#ifdef LAZY
            if (code == (int8_t)0xA5 || code == (int8_t)0xAA || code == (int8_t)0x55)
                continue;
#endif
#ifdef STICKY
            if (code < y[i * m + j])
                continue;
#endif
            y[i * m + j] = (int8_t)code;
        }
    return 0;
}

/* The same product over tiles: x row-major, w and acc in tiles of 4 by 2 and 4 by 4, axes padded. */
void matmul_tiled(const int8_t *x, const int8_t *w, const int32_t *bias, int8_t negated_zx, int32_t n, int32_t k, int32_t m,
                  int32_t *acc)
{
    int ks = (k + 1) / 2, ms = (m + 3) / 4;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            int32_t sum = bias[j];
            for (int l = 0; l < k; l++)
                sum += ((int32_t)x[i * k + l] + negated_zx) * w[((j / 4 * ks + l / 2) * 4 + j % 4) * 2 + l % 2];
            acc[((i / 4 * ms + j / 4) * 4 + i % 4) * 4 + j % 4] = sum;
        }
}
