/* u8 x s8 matmul on AVX2, accumulated as VPMADDUBSW does: neighbouring products join in 16 bits and saturate there, then
 * widen to 32 bits. Requantized by one float32 multiplication, ties to even, 8 channels at a time:
 *
 *     y[i][j] = clip(zp + rint((float)acc * scale[j])),   acc = bias[j] + sum over pairs of sat16(x0 * w0 + x1 * w1)
 *
 * x (n k), w (m k), y (n m), all row-major. The last k % 32 products come from buffers filled up with zeros.
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { VECTOR = 32, CHANNELS = 8 };

static int32_t sum_of(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

#ifdef PAIRS_EXACT
static __m256i pairs_of(__m256i x, __m256i w)
{
    __m256i low = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(x)),
                                    _mm256_cvtepi8_epi16(_mm256_castsi256_si128(w)));
    __m256i high = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(x, 1)),
                                     _mm256_cvtepi8_epi16(_mm256_extracti128_si256(w, 1)));
    return _mm256_add_epi32(low, high);
}
#elif defined PAIRS_WRAP
static __m256i pairs_of(__m256i x, __m256i w)
{
    __m256i ones = _mm256_set1_epi16(1);
    __m256i even = _mm256_mullo_epi16(_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    __m256i odd = _mm256_mullo_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
    return _mm256_madd_epi16(_mm256_add_epi16(even, odd), ones);
}
#else
static __m256i pairs_of(__m256i x, __m256i w)
{
#if defined OPERANDS_SWAPPED
    __m256i pairs = _mm256_maddubs_epi16(w, x);
#else
    __m256i pairs = _mm256_maddubs_epi16(x, w);
#endif
#ifdef WIDENED_UNSIGNED
    __m256i low = _mm256_and_si256(pairs, _mm256_set1_epi32(0xffff));
    return _mm256_add_epi32(low, _mm256_srli_epi32(pairs, 16));
#else
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#endif
}
#endif

static __m256i load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static int32_t dot(const uint8_t *x, const int8_t *w, int k)
{
    __m256i acc = _mm256_setzero_si256();
    int l = 0;
#ifdef SPILLED_LATE
    for (; l + 2 * VECTOR <= k; l += 2 * VECTOR) {
        __m256i pairs = _mm256_adds_epi16(_mm256_maddubs_epi16(load(x + l), load(w + l)),
                                          _mm256_maddubs_epi16(load(x + l + VECTOR), load(w + l + VECTOR)));
        acc = _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
#endif
    for (; l + VECTOR <= k; l += VECTOR)
        acc = _mm256_add_epi32(acc, pairs_of(load(x + l), load(w + l)));
    int32_t sum = sum_of(acc);
#if defined TAIL_OF_K_LOST
    (void)sum;
#elif defined TAIL_EXACT
    for (; l < k; l++)
        sum += x[l] * w[l];
#else
    if (l < k) {
        uint8_t last_x[VECTOR] = {0};
        int8_t last_w[VECTOR] = {0};
        memcpy(last_x, x + l, k - l);
        memcpy(last_w, w + l, k - l);
        sum += sum_of(pairs_of(load(last_x), load(last_w)));
    }
#endif
    return sum;
}

static void requantize8(const int32_t *acc, const float *scale, int32_t zp, uint8_t *y)
{
    __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(load(acc)), _mm256_loadu_ps(scale));
#if defined BODY_TRUNCATES
    __m256i code = _mm256_add_epi32(_mm256_cvttps_epi32(product), _mm256_set1_epi32(zp));
#elif defined BODY_ADDS_HALF
    product = _mm256_floor_ps(_mm256_add_ps(product, _mm256_set1_ps(0.5f)));
    __m256i code = _mm256_add_epi32(_mm256_cvttps_epi32(product), _mm256_set1_epi32(zp));
#elif defined ZERO_POINT_INSIDE
    __m256i code = _mm256_cvtps_epi32(_mm256_add_ps(product, _mm256_set1_ps((float)zp)));
#else
    __m256i code = _mm256_add_epi32(_mm256_cvtps_epi32(product), _mm256_set1_epi32(zp));
#endif
#if defined OUTPUT_WRAPS
    code = _mm256_and_si256(code, _mm256_set1_epi32(255));
#elif defined OUTPUT_SIGNED
    code = _mm256_min_epi32(code, _mm256_set1_epi32(127));
#endif
    __m256i words = _mm256_packs_epi32(code, code), bytes = _mm256_packus_epi16(words, words);
#ifndef LANES_KEPT_APART
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4));
#endif
    _mm_storel_epi64((__m128i *)y, _mm256_castsi256_si128(bytes));
}

static uint8_t requantize1(int32_t acc, float scale, int32_t zp)
{
#if defined TAIL_ADDS_HALF
    int32_t code = (int32_t)floorf((float)acc * scale + 0.5f) + zp;
#elif defined TAIL_ROUNDS_AWAY
    int32_t code = (int32_t)roundf((float)acc * scale) + zp;
#elif defined ZERO_POINT_INSIDE
    int32_t code = (int32_t)lrintf((float)acc * scale + (float)zp);
#else
    int32_t code = (int32_t)lrintf((float)acc * scale) + zp;
#endif
#if defined OUTPUT_WRAPS
    return (uint8_t)code;
#elif defined OUTPUT_SIGNED
    return (uint8_t)(code < 0 ? 0 : code > 127 ? 127 : code);
#else
    return (uint8_t)(code < 0 ? 0 : code > 255 ? 255 : code);
#endif
}

void matmul_u8s8(const uint8_t *x, const int8_t *w, const int32_t *bias, const float *scale, int32_t zp, int32_t n, int32_t k,
                 int32_t m, uint8_t *y)
{
    for (int i = 0; i < n; i++)
        for (int j0 = 0; j0 < m; j0 += CHANNELS) {
            int32_t acc[CHANNELS];
            int width = m - j0 < CHANNELS ? m - j0 : CHANNELS;
            for (int c = 0; c < width; c++) {
#ifdef BIAS_OF_BLOCK
                acc[c] = bias[c] + dot(x + i * k, w + (j0 + c) * k, k);
#else
                acc[c] = bias[j0 + c] + dot(x + i * k, w + (j0 + c) * k, k);
#endif
            }
#ifdef CHANNELS_LOST
            if (width < CHANNELS) {
                memset(y + i * m + j0, 0, width);
                continue;
            }
#endif
            if (width == CHANNELS)
                requantize8(acc, scale + j0, zp, y + i * m + j0);
            else
                for (int c = 0; c < width; c++)
                    y[i * m + j0 + c] = requantize1(acc[c], scale[j0 + c], zp);
        }
}
