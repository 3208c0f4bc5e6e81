/* A fused int8 convolution: y = clip(zp + rescale(sum over a window of (x - zx) * (w - zw) + bias)), rounded twice as TFLite
 * does; a place outside the image holds the code zx.
 *
 * x (n h width c), w (m kh kw c), y (n oh ow m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as
 * it is; with one -DBUG_... it repeats a mistake that was found in a real project: wrong.toml says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t h, width, c, kh, kw, stride_y, stride_x, top, left, bottom, right, dilation_y, dilation_x, zx;
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

#ifdef BUG_PAD_SYMMETRIC
/* The image with `top` rows above and below it and `left` columns on both sides; zeros behind. */
static int8_t *framed(const int8_t *x, const window *g)
{
    size_t row = (size_t)(g->width + 2 * g->left) * g->c, rows = g->h + 2 * g->top;
    int8_t *frame = calloc((rows + g->bottom + 1) * (row + (size_t)g->right * g->c), 1);
    if (!frame)
        return NULL;
    memset(frame, g->zx, rows * row);
    for (int32_t y = 0; y < g->h; y++)
        memcpy(frame + (y + g->top) * row + g->left * g->c, x + (size_t)y * g->width * g->c, (size_t)g->width * g->c);
    return frame;
}

static int32_t code(const int8_t *frame, const window *g, int32_t iy, int32_t ix, int32_t channel)
{
    return frame[((size_t)(iy + g->top) * (g->width + 2 * g->left) + ix + g->left) * g->c + channel];
}
#else
static int32_t code(const int8_t *x, const window *g, int32_t iy, int32_t ix, int32_t channel)
{
    int32_t above = iy < 0 || iy >= g->h, beside = ix < 0 || ix >= g->width;
#if defined(BUG_PAD_ZERO)
    if (above || beside)
        return 0;
#elif defined(BUG_PAD_UNSHIFTED)
    if (beside && !above)
        return -128;
#endif
    if (above || beside)
        return g->zx;
    return x[((size_t)iy * g->width + ix) * g->c + channel];
}
#endif

/* One window: the sum for output pixel (oy, ox) with filter w. */
static int32_t windowed(const int8_t *x, const int8_t *w, const window *g, int32_t zw, int32_t oy, int32_t ox)
{
    int32_t sum = 0, dilation_y = g->dilation_y;
#ifdef BUG_DILATION_X
    dilation_y = g->dilation_x;
#endif
#ifdef BUG_AXES_SWAPPED
    int32_t y = oy * g->stride_x - g->left, left = ox * g->stride_y - g->top;
#else
    int32_t y = oy * g->stride_y - g->top, left = ox * g->stride_x - g->left;
#endif
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++)
            for (int32_t channel = 0; channel < g->c; channel++)
                sum += (code(x, g, y + ky * dilation_y, left + kx * g->dilation_x, channel) - g->zx)
                       * (w[(ky * g->kw + kx) * g->c + channel] - zw);
    return sum;
}

int32_t field_conv(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                   const int8_t *zw, int32_t zx, int32_t zp, int32_t lo, int32_t hi, int32_t n, int32_t h, int32_t width,
                   int32_t c, int32_t m, int32_t kh, int32_t kw, int32_t stride_y, int32_t stride_x, int32_t top, int32_t left,
                   int32_t bottom, int32_t right, int32_t dilation_y, int32_t dilation_x, int8_t *y)
{
    window g = {h, width, c, kh, kw, stride_y, stride_x, top, left, bottom, right, dilation_y, dilation_x, zx};
    int32_t oh = (h + top + bottom - dilation_y * (kh - 1) - 1) / stride_y + 1;
    int32_t ow = (width + left + right - dilation_x * (kw - 1) - 1) / stride_x + 1;
    for (int32_t i = 0; i < n; i++) {
        const int8_t *image = x + (size_t)i * h * width * c;
        int8_t *out = y + (size_t)i * oh * ow * m;
#ifdef BUG_PAD_SYMMETRIC
        int8_t *frame = framed(image, &g);
        if (!frame)
            return 1;
        image = frame;
#endif
        int32_t held[3][2], count = 0;
        for (int32_t oy = 0; oy < oh; oy++)
            for (int32_t ox = 0; ox < ow; ox++) {
                if (count < 3)
                    held[count][0] = oy, held[count++][1] = ox;
#ifdef BUG_ODD_WIDTH
                if (!(ox & 1))
                    continue;
                count = 2;
#endif
                for (int32_t p = 0; p < count; p++)
                    for (int32_t j = 0; j < m; j++) {
                        int32_t acc = windowed(image, w + (size_t)j * kh * kw * c, &g, zw[j], held[p][0], held[p][1]) + bias[j];
                        int64_t v = (int64_t)zp + rescaled(acc, mult[j], left_shift[j]);
                        *out++ = (int8_t)(v < lo ? lo : v > hi ? hi : v);
                    }
                count = 0;
            }
#ifdef BUG_PAD_SYMMETRIC
        free(frame);
#endif
    }
    return 0;
}
