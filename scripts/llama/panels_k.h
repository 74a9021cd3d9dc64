// Panels of the K-quants Q4_K, Q5_K and Q6_K: blocks of 256 weights, whose parts have scales of their own.

#pragma once

#include "panels_core.h"

namespace ollamapy {
namespace {

constexpr int K_WORDS = QK_K / 4;

// A token's block. `offsets` are -32 times the sums of 16 numbers, `sums` those of 32: of parts 0 and 2, 1 and 3, 4 and 6,
// 5 and 7, two 16-bit numbers in a word.
struct PackedK {
    int32_t words[K_WORDS];
    int32_t offsets[QK_K / 16];
    int32_t sums[4];
    float scale;
};

inline void pack_k(const block_q8_K & token, PackedK & out) {
    memcpy(out.words, token.qs, sizeof(out.words));
    int16_t sums[8];
    for (int i = 0; i < 8; ++i) {
        out.offsets[2 * i] = -32 * token.bsums[2 * i];
        out.offsets[2 * i + 1] = -32 * token.bsums[2 * i + 1];
        sums[i] = (int16_t) (token.bsums[2 * i] + token.bsums[2 * i + 1]);
    }
    const int16_t pairs[8] = { sums[0], sums[2], sums[1], sums[3], sums[4], sums[6], sums[5], sums[7] };
    memcpy(out.sums, pairs, sizeof(out.sums));
    out.scale = token.d;
}

// Bits of each byte as `mask` has them. Shifts are of whole words: what comes from the next byte, the mask removes.
inline __m512i masked(__m512i words, int mask) {
    return _mm512_and_si512(words, _mm512_set1_epi8((char) mask));
}

// Bits of each byte of `low` as `mask` has them, and those of `high`, which has none of these.
inline __m512i joined(__m512i low, int mask, __m512i high) {
    return _mm512_ternarylogic_epi32(low, _mm512_set1_epi8((char) mask), high, 0xEA);
}

// Returns byte i of 16 words as numbers: unsigned, and signed.
inline __m512 unsigned_byte(__m512i words, int i) {
    const __m512i moved = i ? _mm512_srli_epi32(words, 8 * i) : words;
    return _mm512_cvtepi32_ps(i < 3 ? _mm512_and_si512(moved, _mm512_set1_epi32(255)) : moved);
}

inline __m512 signed_byte(__m512i words, int i) {
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(i < 3 ? _mm512_slli_epi32(words, 24 - 8 * i) : words, 24));
}

// Q6_K: 16 parts with one scale each; a weight is its six bits less 32.
struct Q6K {
    using Weights = block_q6_K;
    using Token = block_q8_K;
    using Packed = PackedK;

    static constexpr int WIDE = 8; // as many pairs of sums as there are registers for
    static constexpr int PARTS = 16;

    struct Panel {
        __m512i words[K_WORDS];
        __m512 scales[PARTS];
    };

    static void pack(const block_q8_K & token, Packed & out) { pack_k(token, out); }

    static void pack(const char * const * rows, int64_t at, Panel & out) {
        for (int half = 0; half < 2; ++half) {
            __m512i low[8], more[8], high[8];
            turn(rows, at + offsetof(block_q6_K, ql) + 64 * half, low);
            turn(rows, at + offsetof(block_q6_K, ql) + 64 * half + 32, more);
            turn(rows, at + offsetof(block_q6_K, qh) + 32 * half, high);
            __m512i * words = out.words + 32 * half;
            for (int i = 0; i < 8; ++i) {
                words[i] = joined(low[i], 15, masked(_mm512_slli_epi32(high[i], 4), 48));
                words[i + 8] = joined(more[i], 15, masked(_mm512_slli_epi32(high[i], 2), 48));
                words[i + 16] = joined(_mm512_srli_epi32(low[i], 4), 15, masked(high[i], 48));
                words[i + 24] = joined(_mm512_srli_epi32(more[i], 4), 15, masked(_mm512_srli_epi32(high[i], 2), 48));
            }
        }
        __m512i scales[4];
        turn_short(rows, at + offsetof(block_q6_K, scales), scales);
        const __m512 scale = halves(rows, at + offsetof(block_q6_K, d));
        for (int i = 0; i < PARTS; ++i) {
            out.scales[i] = _mm512_mul_ps(scale, signed_byte(scales[i / 4], i % 4));
        }
    }

    template <int N, bool TURNS> static void multiply(const Panels<Q6K> & panel, const Packed * tokens) {
        __m512 sums[N];
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) {
            sums[j] = _mm512_setzero_ps();
        }
        for (int64_t l = 0; l < panel.k; ++l, tokens += N) {
            const Panel & block = panel.template block<TURNS>(l);
            __m512 block_sums[N];
#pragma GCC unroll 8
            for (int j = 0; j < N; ++j) {
                block_sums[j] = _mm512_setzero_ps();
            }
            for (int i = 0; i < PARTS; ++i) {
                const __m512i * words = block.words + 4 * i;
                const __m512i w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
                const __m512 scales = block.scales[i];
#pragma GCC unroll 8
                for (int j = 0; j < N; ++j) {
                    const int32_t * token = tokens[j].words + 4 * i;
                    __m512i sum = _mm512_set1_epi32(tokens[j].offsets[i]);
                    sum = _mm512_dpbusd_epi32(sum, w0, _mm512_set1_epi32(token[0]));
                    sum = _mm512_dpbusd_epi32(sum, w1, _mm512_set1_epi32(token[1]));
                    sum = _mm512_dpbusd_epi32(sum, w2, _mm512_set1_epi32(token[2]));
                    sum = _mm512_dpbusd_epi32(sum, w3, _mm512_set1_epi32(token[3]));
                    block_sums[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scales, block_sums[j]);
                }
            }
#pragma GCC unroll 8
            for (int j = 0; j < N; ++j) {
                sums[j] = _mm512_fmadd_ps(block_sums[j], _mm512_set1_ps(tokens[j].scale), sums[j]);
            }
        }
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) {
            _mm512_mask_storeu_ps(panel.out + j * panel.out_stride, panel.mask, sums[j]);
        }
    }
};

// Q4_K and Q5_K: eight parts with a scale and a minimum each; a weight is scale times bits less minimum. Where the
// bits of an odd part stay in the upper half of a byte, they are `odd` times as large.
template <typename Format, typename Block> struct ScalesAndMinimums {
    using Weights = Block;
    using Token = block_q8_K;
    using Packed = PackedK;

    static constexpr int WIDE = 8;
    static constexpr int PARTS = 8;

    // `minimums` are of parts 0 and 2, 1 and 3, 4 and 6, 5 and 7, two 16-bit numbers in a word.
    struct Panel {
        __m512i words[K_WORDS];
        __m512 scales[PARTS];
        __m512i minimums[4];
        __m512 minimum_scale;
    };

    static void pack(const block_q8_K & token, Packed & out) { pack_k(token, out); }

    // Six bits each: eight scales and eight minimums in twelve bytes, behind the half-precision factors of both.
    static void pack_scales(const char * const * rows, int64_t at, float odd, Panel & out) {
        __m512i head[4];
        turn_short(rows, at, head);
        const __m512 even_scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0]));
        const __m512 odd_scale = _mm512_mul_ps(even_scale, _mm512_set1_ps(1 / odd));
        const __m512i scales[2] = {
            masked(head[1], 63),
            joined(head[3], 15, masked(_mm512_srli_epi32(head[1], 2), 48)),
        };
        const __m512i minimums[2] = {
            masked(head[2], 63),
            joined(_mm512_srli_epi32(head[3], 4), 15, masked(_mm512_srli_epi32(head[2], 2), 48)),
        };
        for (int i = 0; i < PARTS; ++i) {
            out.scales[i] = _mm512_mul_ps(i % 2 ? odd_scale : even_scale, unsigned_byte(scales[i / 4], i % 4));
        }
        for (int i = 0; i < 2; ++i) {
            const __m512i mask = _mm512_set1_epi32(0x00FF00FF);
            out.minimums[2 * i] = _mm512_and_si512(minimums[i], mask);
            out.minimums[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi32(minimums[i], 8), mask);
        }
        out.minimum_scale = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16)));
    }

    template <int N, bool TURNS> static void multiply(const Panels<Format> & panel, const Packed * tokens) {
        __m512 sums[N];
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) {
            sums[j] = _mm512_setzero_ps();
        }
        for (int64_t l = 0; l < panel.k; ++l, tokens += N) {
            const Panel & block = panel.template block<TURNS>(l);
            __m512 block_sums[N];
#pragma GCC unroll 8
            for (int j = 0; j < N; ++j) {
                const int32_t * token = tokens[j].sums;
                __m512i sum = _mm512_dpwssd_epi32(_mm512_setzero_si512(), block.minimums[0], _mm512_set1_epi32(token[0]));
                sum = _mm512_dpwssd_epi32(sum, block.minimums[1], _mm512_set1_epi32(token[1]));
                sum = _mm512_dpwssd_epi32(sum, block.minimums[2], _mm512_set1_epi32(token[2]));
                sum = _mm512_dpwssd_epi32(sum, block.minimums[3], _mm512_set1_epi32(token[3]));
                block_sums[j] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(sum), block.minimum_scale, _mm512_setzero_ps());
            }
            for (int i = 0; i < PARTS; ++i) {
                const __m512i * words = block.words + 8 * i;
                const __m512i w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
                const __m512i w4 = words[4], w5 = words[5], w6 = words[6], w7 = words[7];
                const __m512 scales = block.scales[i];
#pragma GCC unroll 8
                 for (int j = 0; j < N; ++j) {
                    const int32_t * token = tokens[j].words + 8 * i;
                    __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w0, _mm512_set1_epi32(token[0]));
                    sum = _mm512_dpbusd_epi32(sum, w1, _mm512_set1_epi32(token[1]));
                    sum = _mm512_dpbusd_epi32(sum, w2, _mm512_set1_epi32(token[2]));
                    sum = _mm512_dpbusd_epi32(sum, w3, _mm512_set1_epi32(token[3]));
                    sum = _mm512_dpbusd_epi32(sum, w4, _mm512_set1_epi32(token[4]));
                    sum = _mm512_dpbusd_epi32(sum, w5, _mm512_set1_epi32(token[5]));
                    sum = _mm512_dpbusd_epi32(sum, w6, _mm512_set1_epi32(token[6]));
                    sum = _mm512_dpbusd_epi32(sum, w7, _mm512_set1_epi32(token[7]));
                    block_sums[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scales, block_sums[j]);
                }
            }
#pragma GCC unroll 8
            for (int j = 0; j < N; ++j) {
                sums[j] = _mm512_fmadd_ps(block_sums[j], _mm512_set1_ps(tokens[j].scale), sums[j]);
            }
        }
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) {
            _mm512_mask_storeu_ps(panel.out + j * panel.out_stride, panel.mask, sums[j]);
        }
    }
};

struct Q4K : ScalesAndMinimums<Q4K, block_q4_K> {
    using ScalesAndMinimums::pack;

    static void pack(const char * const * rows, int64_t at, Panel & out) {
        pack_scales(rows, at, 16, out);
        for (int pair = 0; pair < PARTS / 2; ++pair) {
            __m512i both[8];
            turn(rows, at + offsetof(block_q4_K, qs) + 32 * pair, both);
            for (int i = 0; i < 8; ++i) {
                out.words[16 * pair + i] = masked(both[i], 15);
                out.words[16 * pair + i + 8] = masked(both[i], 240);
            }
        }
    }
};

struct Q5K : ScalesAndMinimums<Q5K, block_q5_K> {
    using ScalesAndMinimums::pack;

    static void pack(const char * const * rows, int64_t at, Panel & out) {
        pack_scales(rows, at, 1, out);
        __m512i high[8];
        turn(rows, at + offsetof(block_q5_K, qh), high);
#pragma GCC unroll 4
        for (int pair = 0; pair < PARTS / 2; ++pair) {
            __m512i low[8];
            turn(rows, at + offsetof(block_q5_K, qs) + 32 * pair, low);
            for (int i = 0; i < 8; ++i) {
                const __m512i fifths = masked(_mm512_srli_epi32(high[i], 2 * pair), 3);
                const __m512i first = masked(_mm512_slli_epi32(fifths, 4), 16), second = _mm512_slli_epi32(fifths, 3);
                out.words[16 * pair + i] = joined(low[i], 15, first);
                out.words[16 * pair + i + 8] = joined(_mm512_srli_epi32(low[i], 4), 15, masked(second, 16));
            }
        }
    }
};

} // namespace
} // namespace ollamapy
