/* int8 convolution with zero-point padding, requantized per channel with two roundings and a saturating left shift:
 *
 *     y[oy][ox][o] = clip(zp + rescale(bias[o] + sum over i, j, c of (x[iy][ix][c] - zx) * w[o][i][j][c]))
 *     iy = oy * sy + i - top,   ix = ox * sx + j - left
 *
 * x (h w c), w (m kh kw c), y (oh ow m). A border row or column reads zx. Four output channels at a time, then the rest.
 */
#include <stdint.h>

static int32_t high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

static int32_t shift_right(int32_t x, int s)
{
#if defined TRUNCATED
    return x / (1 << s);
#elif defined TIES_DOWN
    int32_t mask = (1 << s) - 1;
    return (x >> s) + ((x & mask) > (mask >> 1) + (s > 0));
#elif defined TIES_EVEN
    int32_t mask = (1 << s) - 1, floor = x >> s;
    return floor + ((x & mask) > (mask >> 1) + (s > 0 && !(floor & 1)));
#else
    int32_t mask = (1 << s) - 1;
    return (x >> s) + ((x & mask) > (mask >> 1) + (x < 0));
#endif
}

static int32_t rescaled(int32_t acc, int32_t mult, int32_t left)
{
    int up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
#ifdef LIFT_WRAPS
    int32_t lifted = (int32_t)((uint32_t)acc << up);
#else
    int64_t wide = (int64_t)acc * (1ll << up);
    int32_t lifted = wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
#endif
    return shift_right(high_mul(lifted, mult), down);
}

typedef struct {
    const int8_t *x, *w;
    const int32_t *bias, *mult, *left_shift;
    int32_t zx, zp, h, width, c, kh, kw, m, top, left, sy, sx;
} Conv;

static int32_t window(const Conv *p, int oy, int ox, int o)
{
#ifdef ACCUMULATOR_OF_16_BITS
    int32_t acc = 0;
#else
    int32_t acc = p->bias[o];
#endif
    for (int i = 0; i < p->kh; i++)
        for (int j = 0; j < p->kw; j++) {
#ifdef STRIDE_SWAPPED
            int iy = oy * p->sx + i - p->top, ix = ox * p->sy + j - p->left;
#else
            int iy = oy * p->sy + i - p->top, ix = ox * p->sx + j - p->left;
#endif
            int inside = iy >= 0 && iy < p->h && ix >= 0 && ix < p->width;
#if defined FLIPPED
            const int8_t *w = p->w + ((o * p->kh + p->kh - 1 - i) * p->kw + p->kw - 1 - j) * p->c;
#elif defined WINDOW_TRANSPOSED
            const int8_t *w = p->w + ((o * p->kw + j) * p->kh + i) * p->c;
#else
            const int8_t *w = p->w + ((o * p->kh + i) * p->kw + j) * p->c;
#endif
            for (int d = 0; d < p->c; d++) {
#if defined PADDED_WITH_ZERO
                int32_t value = (inside ? p->x[(iy * p->width + ix) * p->c + d] : 0) - p->zx;
#elif defined INPUT_ZERO_POINT_SIGN
                int32_t value = inside ? p->x[(iy * p->width + ix) * p->c + d] + p->zx : 0;
#elif defined CHANNEL_MAJOR_INPUT
                int32_t value = inside ? p->x[(d * p->h + iy) * p->width + ix] - p->zx : 0;
#elif defined BORDER_REPEATED
                int cy = iy < 0 ? 0 : iy < p->h ? iy : p->h - 1, cx = ix < 0 ? 0 : ix < p->width ? ix : p->width - 1;
                int32_t value = p->x[(cy * p->width + cx) * p->c + d] - p->zx;
#else
                int32_t value = inside ? p->x[(iy * p->width + ix) * p->c + d] - p->zx : 0;
#endif
                acc += value * w[d];
#ifdef ACCUMULATOR_OF_16_BITS
                acc = acc > INT16_MAX ? INT16_MAX : acc < INT16_MIN ? INT16_MIN : acc;
#endif
                (void)inside;
            }
        }
#ifdef ACCUMULATOR_OF_16_BITS
    acc += p->bias[o];
#endif
    return acc;
}

static int8_t output(const Conv *p, int32_t acc, int o)
{
#ifdef SCALE_OF_FIRST_CHANNEL
    o = 0;
#endif
#if defined OUTPUT_ZERO_POINT_DROPPED
    int32_t y = rescaled(acc, p->mult[o], p->left_shift[o]);
#else
    int32_t y = rescaled(acc, p->mult[o], p->left_shift[o]) + p->zp;
#endif
    return (int8_t)(y < -128 ? -128 : y > 127 ? 127 : y);
}

void conv2d_s8(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift, int32_t zx,
               int32_t zp, int32_t h, int32_t width, int32_t c, int32_t kh, int32_t kw, int32_t m, int32_t oh, int32_t ow,
               int32_t top, int32_t left, int32_t sy, int32_t sx, int8_t *y)
{
#ifdef PADDING_AT_THE_END
    top = left = 0;
#endif
    Conv p = {x, w, bias, mult, left_shift, zx, zp, h, width, c, kh, kw, m, top, left, sy, sx};
    for (int oy = 0; oy < oh; oy++)
        for (int ox = 0; ox < ow; ox++) {
            int8_t *at = y + (oy * ow + ox) * m;
            int o = 0;
            for (; o + 4 <= m; o += 4)
                for (int u = 0; u < 4; u++)
                    at[o + u] = output(&p, window(&p, oy, ox, o + u), o + u);
            for (; o < m; o++)
#ifdef TAIL_WITHOUT_BIAS
                at[o] = output(&p, window(&p, oy, ox, o) - bias[o], o);
#else
                at[o] = output(&p, window(&p, oy, ox, o), o);
#endif
        }
}
