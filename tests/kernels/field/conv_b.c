/* A fused int8 convolution: y = clip(zp + rescale(sum over a window of (x - zx) * (w - zw) + bias)), rounded twice as TFLite
 * does; a place outside the image holds the code zx.
 *
 * x (n h width c), w (m kh kw c), y (n oh ow m), all row-major; bias, mult, left_shift and zw for each of m channels. Right as
 * it is; with one -DBUG_... it repeats a mistake that was found in a real project: held_out.toml says which.
 */
#include <stddef.h>
#include <stdint.h>

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

static int32_t code(const int8_t *x, const window *g, int32_t iy, int32_t ix, int32_t channel)
{
    if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->width)
        return g->zx;
#ifdef BUG_INPUT_STAYS
    channel %= 4;
#endif
    return x[((size_t)iy * g->width + ix) * g->c + channel];
}

static int32_t weight(const int8_t *w, const window *g, int32_t ky, int32_t kx, int32_t channel)
{
#ifdef BUG_FILTER_AXES
    return w[(ky * g->c + channel) * g->kw + kx];
#else
    return w[(ky * g->kw + kx) * g->c + channel];
#endif
}

/* One window: the sum for output pixel (oy, ox) with filter w. */
static int32_t windowed(const int8_t *x, const int8_t *w, const window *g, int32_t zw, int32_t oy, int32_t ox)
{
    int32_t sum = 0, step_y = g->dilation_y, step_x = g->dilation_x;
    int32_t y = oy * g->stride_y - g->top, left = ox * g->stride_x - g->left;
#ifdef BUG_DILATED_TWICE
    step_y *= step_y, step_x *= step_x;
#endif
#ifdef BUG_ROW_I16
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t channel = 0; channel < g->c; channel++) {
            int16_t row = 0;
            for (int32_t kx = 0; kx < g->kw; kx++) {
                int32_t xi = code(x, g, y + ky * step_y, left + kx * step_x, channel), wi = weight(w, g, ky, kx, channel);
                row = (int16_t)(row + xi * wi);
                sum += g->zx * zw - g->zx * wi - zw * xi;
            }
            sum += row;
        }
#else
    for (int32_t ky = 0; ky < g->kh; ky++)
        for (int32_t kx = 0; kx < g->kw; kx++)
            for (int32_t channel = 0; channel < g->c; channel++)
                sum += (code(x, g, y + ky * step_y, left + kx * step_x, channel) - g->zx)
                       * (weight(w, g, ky, kx, channel) - zw);
#endif
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
        for (int32_t oy = 0; oy < oh; oy++)
            for (int32_t ox = 0; ox < ow; ox++)
                for (int32_t j = 0; j < m; j++) {
                    int32_t acc = windowed(image, w + (size_t)j * kh * kw * c, &g, zw[j], oy, ox) + bias[j];
                    int64_t v = (int64_t)zp + rescaled(acc, mult[j], left_shift[j]);
                    *y++ = (int8_t)(v < lo ? lo : v > hi ? hi : v);
                }
    }
    return 0;
}
