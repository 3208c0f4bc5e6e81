/* A fused int8 convolution: y = clip(zp + rescale(sum over a window of (x - zx) * (w - zw) + bias)), rounded twice as TFLite
 * does; a place outside the image holds the code zx.
 *
 * x (n h width c), w (m kh kw c), y (n oh ow m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as
 * it is; with one -DBUG_... it repeats a mistake that was found in a real project: third.toml says which.
 */
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    int32_t h, width, c, kh, kw, stride_y, stride_x, top, left, dilation_y, dilation_x, zx, oh, ow;
} window;

static int32_t doubling_high(int32_t a, int32_t b)
{
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)((product + nudge) / (1ll << 31));
}

static int32_t rescaled(int32_t acc, int32_t mult, int32_t left)
{
    int32_t up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
    int32_t v = doubling_high((int32_t)((uint32_t)acc << up), mult);
    int32_t mask = (int32_t)((1ll << down) - 1), rest = v & mask, threshold = (mask >> 1) + (v < 0);
    return (v >> down) + (rest > threshold);
}

static int32_t code(const int8_t *x, const window *g, int32_t iy, int32_t ix, int32_t channel)
{
    int32_t y = iy, column = ix, at = channel;
#ifdef BUG_OUTPUT_BOUNDS
    if (iy < 0 || iy >= g->oh || ix < 0 || ix >= g->ow)
        return g->zx;
    if (iy * g->width + ix >= g->h * g->width)
        return 0;
#else
    if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->width)
        return g->zx;
#endif
#ifdef BUG_LAYOUT_GUESSED
    if (g->c == g->h && g->h == g->width)
        y = channel, column = iy, at = ix;
#endif
    return x[((size_t)y * g->width + column) * g->c + at];
}

/* One window: the sum for output pixel (oy, ox) with filter w. */
static int32_t windowed(const int8_t *x, const int8_t *w, const window *g, int32_t zw, int32_t oy, int32_t ox)
{
    int32_t sum = 0, y = oy * g->stride_y - g->top, left = ox * g->stride_x - g->left;
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++)
            for (int32_t channel = 0; channel < g->c; channel++)
                sum += (code(x, g, y + ky * g->dilation_y, left + kx * g->dilation_x, channel) - g->zx)
                       * (w[(ky * g->kw + kx) * g->c + channel] - zw);
    return sum;
}

int32_t field_conv(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                   const int8_t *zw, int32_t zx, int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t h, int32_t width,
                   int32_t c, int32_t m, int32_t kh, int32_t kw, int32_t stride_y, int32_t stride_x, int32_t top, int32_t left,
                   int32_t bottom, int32_t right, int32_t dilation_y, int32_t dilation_x, int8_t *y)
{
    int32_t oh = (h + top + bottom - dilation_y * (kh - 1) - 1) / stride_y + 1;
    int32_t ow = (width + left + right - dilation_x * (kw - 1) - 1) / stride_x + 1;
#ifdef BUG_SAME_AT_FRONT
    top = bottom, left = right;
#endif
#ifdef BUG_PAD_TOTAL
    top += bottom, left += right;
#endif
#ifdef BUG_UNIT_STEPS
    stride_y = stride_x = dilation_y = dilation_x = 1;
#endif
    window g = {h, width, c, kh, kw, stride_y, stride_x, top, left, dilation_y, dilation_x, zx, oh, ow};
    for (int32_t i = 0; i < n; i++) {
        int32_t place = i;
#ifdef BUG_BATCH_DRIFT
        place = i * (i + 1) / 2;
        if (place >= n)
            break;
#endif
        const int8_t *image = x + (size_t)place * h * width * c;
        int8_t *out = y + (size_t)place * oh * ow * m;
        for (int32_t oy = 0; oy < oh; oy++)
            for (int32_t ox = 0; ox < ow; ox++)
                for (int32_t j = 0; j < m; j++) {
                    int32_t acc = windowed(image, w + (size_t)j * kh * kw * c, &g, zw[j], oy, ox) + bias[j];
                    int64_t v = (int64_t)zp + rescaled(acc, mult[j], left_shift[j]);
                    *out++ = (int8_t)(v < lo ? lo : v > hi ? hi : v);
                }
    }
    return 0;
}
