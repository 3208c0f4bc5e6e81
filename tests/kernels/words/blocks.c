/* Weights of which blocks of 1 x 4 are stored, row by row: starts (m + 1) says where the blocks of a row begin, and columns, in
 * blocks, where each of them stands; the last block of a row may reach behind its end.
 */
#include <stdint.h>

void matmul_blocks(const uint8_t *x, const uint8_t *values, const int32_t *columns, const int32_t *starts, const int32_t *bias,
                   int32_t zx, const uint8_t *zw, int32_t n, int32_t k, int32_t m, int32_t *acc)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) {
            int32_t sum = bias[j];
            int first = starts[j], end = starts[j + 1];
#if defined EMPTY_MAKES_ONE
            if (first == end && end < starts[m])
                end++;
#elif defined EMPTY_TAKES_THE_NEXT
            if (first == end && j + 1 < m)
                end = starts[j + 2];
#endif
            for (int e = first; e < end; e++)
                for (int c = 0; c < 4; c++) {
#ifdef COLUMNS_OF_CODES
                    int column = columns[e] + c;
#else
                    int column = 4 * columns[e] + c;
#endif
#ifdef LAST_BLOCK_LOST
                    if (4 * columns[e] + 4 > k)
                        continue;
#endif
                    if (column < k)
#ifdef ZERO_POINT_FORGOTTEN
                        sum += (x[i * k + column] - zx) * (values[4 * e + c] - 0 * zw[j]);
#else
                        sum += (x[i * k + column] - zx) * (values[4 * e + c] - zw[j]);
#endif
                }
            acc[i * m + j] = sum;
        }
}
