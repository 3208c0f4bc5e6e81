/* a right kernel of matmul and a rescale by TFLite's two roundings: half up at bit 31, then half away */
#include "kernel.h"

static int64_t scaled(int32_t acc, int64_t mult, int32_t shift)
{
    int32_t room = shift < 31 ? 31 - shift : 0, rest = shift > 31 ? shift - 31 : 0;
    int64_t wide = (int64_t)(int32_t)((uint32_t)acc << room) * mult;
    int64_t high = (wide + (1LL << 30)) >> 31;
    int64_t left = high & ((1LL << rest) - 1), half = rest ? 1LL << (rest - 1) : 1;
    return (high >> rest) + (left > half || (left == half && rest && high >= 0));
}

void refq_kernel(const int8_t *x, const int8_t *w, const int32_t *bias, int8_t zx, const int8_t *zw, int32_t zin,
                 const int64_t *mult, const int8_t *shift, int8_t zp, int32_t n, int32_t k, int32_t m, int32_t c, int8_t *y)
{
    int32_t i, j, l;
    (void)c;
    for (i = 0; i < n; i++)
        for (j = 0; j < m; j++) {
            int32_t acc = bias[j];
            int64_t v;
            for (l = 0; l < k; l++)
                acc += (x[i * k + l] - zx) * (w[j * k + l] - zw[j]);
            v = scaled(acc - zin, mult[j], shift[j]) + zp;
            y[i * m + j] = (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
        }
}
