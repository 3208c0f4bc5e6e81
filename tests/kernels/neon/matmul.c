/* int8 matmul for aarch64 with NEON, rounded twice as TFLite's optimized kernels do (VQRDMULH, then VRSHL with a fixup):
 *
 *     y[i][j] = clip(zp + rescale(bias[j] + sum over l of (x[i][l] - zx) * w[j][l]))
 *
 * x (n k), w (m k), y (n m), all row-major; bias already holds -zx * sum of w. 16 products at a time, then one by one; 4
 * channels are requantized together, the rest one by one.
 */
#include <arm_neon.h>
#include <stdint.h>

enum { VECTOR = 16, CHANNELS = 4 };

static int32_t dot(const int8_t *x, const int8_t *w, int k)
{
    int32x4_t acc = vdupq_n_s32(0);
    int l = 0;
    for (; l + VECTOR <= k; l += VECTOR) {
        int8x16_t a = vld1q_s8(x + l), b = vld1q_s8(w + l);
#if defined TWO_PRODUCTS_IN_16_BITS
        acc = vpadalq_s16(acc, vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vget_high_s8(a), vget_high_s8(b)));
#elif defined PAIRS_SATURATE
        int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_s8(vget_high_s8(a), vget_high_s8(b));
        acc = vaddw_s16(acc, vqadd_s16(vget_low_s16(vuzp1q_s16(low, high)), vget_low_s16(vuzp2q_s16(low, high))));
        acc = vaddw_s16(acc, vqadd_s16(vget_high_s16(vuzp1q_s16(low, high)), vget_high_s16(vuzp2q_s16(low, high))));
#elif defined UNSIGNED_ACTIVATIONS
        uint8x16_t u = vreinterpretq_u8_s8(a);
        int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u))), high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(u)));
        int16x8_t wl = vmovl_s8(vget_low_s8(b)), wh = vmovl_s8(vget_high_s8(b));
        acc = vmlal_s16(acc, vget_low_s16(low), vget_low_s16(wl));
        acc = vmlal_s16(acc, vget_high_s16(low), vget_high_s16(wl));
        acc = vmlal_s16(acc, vget_low_s16(high), vget_low_s16(wh));
        acc = vmlal_s16(acc, vget_high_s16(high), vget_high_s16(wh));
#else
        acc = vpadalq_s16(acc, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        acc = vpadalq_s16(acc, vmull_s8(vget_high_s8(a), vget_high_s8(b)));
#endif
    }
    int32_t sum = vaddvq_s32(acc);
#ifdef TAIL_IN_EIGHTS
    for (; l + 8 <= k; l += 8)
        sum += vaddlvq_s16(vmull_s8(vld1_s8(x + l), vld1_s8(w + l)));
#else
    for (; l < k; l++)
#ifdef TAIL_UNSIGNED
        sum += (uint8_t)x[l] * w[l];
#else
        sum += x[l] * w[l];
#endif
#endif
    return sum;
}

static void requantize4(const int32_t *acc, const int32_t *mult, const int32_t *left_shift, int32_t zp, int8_t *y)
{
    int32x4_t left = vld1q_s32(left_shift), zero = vdupq_n_s32(0);
#ifdef SCALE_OF_FIRST_LANE
    left = vdupq_n_s32(left_shift[0]);
#endif
    int32x4_t up = vmaxq_s32(left, zero), down = vminq_s32(left, zero);
    int32x4_t lifted = vshlq_s32(vld1q_s32(acc), up);
#if defined HIGH_NOT_ROUNDED
    int32x4_t doubled = vqdmulhq_s32(lifted, vld1q_s32(mult));
#elif defined SCALE_OF_FIRST_LANE
    int32x4_t doubled = vqrdmulhq_n_s32(lifted, mult[0]);
#else
    int32x4_t doubled = vqrdmulhq_s32(lifted, vld1q_s32(mult));
#endif
#if defined WITHOUT_FIXUP
    int32x4_t scaled = vrshlq_s32(doubled, down);
#elif defined SHIFT_NOT_ROUNDED
    int32x4_t scaled = vshlq_s32(doubled, down);
#elif defined FIXUP_OF_ALL_SIGNS
    int32x4_t scaled = vrshlq_s32(vqaddq_s32(doubled, vshrq_n_s32(down, 31)), down);
#else
    int32x4_t fixup = vshrq_n_s32(vandq_s32(doubled, down), 31);
    int32x4_t scaled = vrshlq_s32(vqaddq_s32(doubled, fixup), down);
#endif
#if defined OUTPUT_WRAPS
    int8x8_t codes = vmovn_s16(vcombine_s16(vmovn_s32(vaddq_s32(scaled, vdupq_n_s32(zp))), vdup_n_s16(0)));
#elif defined CLAMP_EARLY
    int8x8_t codes = vqmovn_s16(vcombine_s16(vqmovn_s32(scaled), vdup_n_s16(0)));
    codes = vqadd_s8(codes, vdup_n_s8((int8_t)zp));
#else
    int16x4_t words = vqadd_s16(vqmovn_s32(scaled), vdup_n_s16((int16_t)zp));
    int8x8_t codes = vqmovn_s16(vcombine_s16(words, vdup_n_s16(0)));
#endif
#ifdef LANES_REVERSED
    codes = vrev32_s8(codes);
#endif
    for (int c = 0; c < CHANNELS; c++)
        y[c] = ((int8_t *)&codes)[c];
}

static int8_t requantize1(int32_t acc, int32_t mult, int32_t left, int32_t zp)
{
    int up = left > 0 ? left : 0, down = left > 0 ? 0 : -left;
    int32_t lifted = (int32_t)((uint32_t)acc << up);
    int32_t doubled = (int32_t)(((int64_t)lifted * mult + (1 << 30)) >> 31);
    int32_t mask = (1 << down) - 1;
#ifdef TAIL_TIES_UP
    int32_t scaled = (doubled >> down) + ((doubled & mask) > mask >> 1);
#else
    int32_t scaled = (doubled >> down) + ((doubled & mask) > (mask >> 1) + (doubled < 0));
#endif
    scaled += zp;
    return (int8_t)(scaled < -128 ? -128 : scaled > 127 ? 127 : scaled);
}

int32_t matmul_neon(const int8_t *x, const int8_t *w, const int32_t *bias, const int32_t *mult, const int32_t *left_shift,
                    int32_t zp, int32_t n, int32_t k, int32_t m, int8_t *y)
{
    for (int i = 0; i < n; i++) {
        int j = 0;
        for (; j + CHANNELS <= m; j += CHANNELS) {
            int32_t acc[CHANNELS];
            for (int c = 0; c < CHANNELS; c++)
                acc[c] = bias[j + c] + dot(x + i * k, w + (j + c) * k, k);
            requantize4(acc, mult + j, left_shift + j, zp, y + i * m + j);
        }
        for (; j < m; j++)
#ifdef TAIL_SCALE_OF_BLOCK
            y[i * m + j] = requantize1(bias[j] + dot(x + i * k, w + j * k, k), mult[j % CHANNELS], left_shift[j % CHANNELS], zp);
#else
            y[i * m + j] = requantize1(bias[j] + dot(x + i * k, w + j * k, k), mult[j], left_shift[j], zp);
#endif
    }
    return 0;
}
