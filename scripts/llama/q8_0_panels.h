// Q8_0 weights times Q8_0 tokens with AVX-512 VNNI, for llama.cpp's CPU backend.
//
// A panel is 16 rows of weights, turned so that a register holds the same four places of all of them: one instruction
// multiplies these 64 weights with four numbers of a token. A panel is turned once for all tokens of a step, and the
// memory of the next one is asked for meanwhile. A result is one sum over its blocks in their order, so that it is the
// same to the bit, however many tokens are computed together.

#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)
#define OLLAMAPY_Q8_0_PANELS

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ollamapy {

constexpr int ROWS = 16;
constexpr int WIDE = 16;          // tokens that are computed together: as many sums as there are registers for
constexpr int64_t SLICE = 128;    // tokens that are kept packed
constexpr int WORDS = QK8_0 / 4;  // of four numbers
constexpr int PANEL_BLOCK_BYTES = ROWS * sizeof(block_q8_0);
constexpr int LINE = 64;

// The same block of 16 rows. 128 is added to the weights, since one of two factors has to be unsigned.
struct PanelBlock {
    __m512i words[WORDS];
    __m512 scales;
};

// A block of a token, and -128 times the sum of its numbers, which undoes that addition.
struct TokenBlock {
    int32_t words[WORDS];
    float scale;
    int32_t offset;
};

inline __m512i both(const block_q8_0 * low, const block_q8_0 * high) {
    const __m256i a = _mm256_loadu_si256((const __m256i *) low->qs);
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), _mm256_loadu_si256((const __m256i *) high->qs), 1);
}

// Turns eight rows: 128-bit lanes of out[i] are word i of rows 0 to 3, word i + 4 of them, and the same of rows 4 to 7.
inline void turn(const block_q8_0 * const * rows, int64_t l, __m512i * out) {
    const __m512i a = both(rows[0] + l, rows[4] + l);
    const __m512i b = both(rows[1] + l, rows[5] + l);
    const __m512i c = both(rows[2] + l, rows[6] + l);
    const __m512i d = both(rows[3] + l, rows[7] + l);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

inline void pack(const block_q8_0 * const * rows, int64_t l, PanelBlock & out) {
    __m512i low[4], high[4];
    turn(rows, l, low);
    turn(rows + 8, l, high);
    const __m512i add = _mm512_set1_epi8((char) 0x80);
    for (int i = 0; i < 4; ++i) {
        out.words[i] = _mm512_xor_si512(_mm512_shuffle_i32x4(low[i], high[i], 0x88), add);
        out.words[i + 4] = _mm512_xor_si512(_mm512_shuffle_i32x4(low[i], high[i], 0xDD), add);
    }
    alignas(32) uint16_t scales[ROWS];
    for (int i = 0; i < ROWS; ++i) {
        memcpy(&scales[i], &rows[i][l].d, sizeof(scales[i]));
    }
    out.scales = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *) scales));
}

inline void pack(const block_q8_0 & token, TokenBlock & out) {
    const __m256i numbers = _mm256_loadu_si256((const __m256i *) token.qs);
    const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), numbers);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_hadd_epi32(sum, sum);
    sum = _mm_hadd_epi32(sum, sum);
    _mm256_storeu_si256((__m256i *) out.words, numbers);
    out.scale = GGML_CPU_FP16_TO_FP32(token.d);
    out.offset = -128 * _mm_cvtsi128_si32(sum);
}

// Asks for bytes `from` to `to` of the place of block `l` in a panel that is in memory as it was read, if there is one.
inline void ask_for(const char * panel, int64_t l, int from, int to) {
    for (int i = from; panel && i < to; i += LINE) {
        _mm_prefetch(panel + l * PANEL_BLOCK_BYTES + i, _MM_HINT_T1);
    }
}

// Writes the products of `N` tokens with a panel of `k` blocks; `mask` tells the rows that exist.
template <int N>
inline void multiply(const PanelBlock * panel, const TokenBlock * tokens, int64_t k, const char * next, int asked,
                     float * out, int64_t stride, __mmask16 mask) {
    __m512 sums[N];
    for (int j = 0; j < N; ++j) {
        sums[j] = _mm512_setzero_ps();
    }
    for (int64_t l = 0; l < k; ++l, tokens += N) {
        ask_for(next, l, asked, PANEL_BLOCK_BYTES);
        const __m512i * words = panel[l].words;
        const __m512i w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
        const __m512i w4 = words[4], w5 = words[5], w6 = words[6], w7 = words[7];
        const __m512 scales = panel[l].scales;
#pragma GCC unroll 16
        for (int j = 0; j < N; ++j) {
            const TokenBlock & token = tokens[j];
            __m512i sum = _mm512_set1_epi32(token.offset);
            sum = _mm512_dpbusd_epi32(sum, w0, _mm512_set1_epi32(token.words[0]));
            sum = _mm512_dpbusd_epi32(sum, w1, _mm512_set1_epi32(token.words[1]));
            sum = _mm512_dpbusd_epi32(sum, w2, _mm512_set1_epi32(token.words[2]));
            sum = _mm512_dpbusd_epi32(sum, w3, _mm512_set1_epi32(token.words[3]));
            sum = _mm512_dpbusd_epi32(sum, w4, _mm512_set1_epi32(token.words[4]));
            sum = _mm512_dpbusd_epi32(sum, w5, _mm512_set1_epi32(token.words[5]));
            sum = _mm512_dpbusd_epi32(sum, w6, _mm512_set1_epi32(token.words[6]));
            sum = _mm512_dpbusd_epi32(sum, w7, _mm512_set1_epi32(token.words[7]));
            const __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(token.scale));
            sums[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, sums[j]);
        }
    }
    for (int j = 0; j < N; ++j) {
        _mm512_mask_storeu_ps(out + j * stride, mask, sums[j]);
    }
}

using Multiply = void (*)(const PanelBlock *, const TokenBlock *, int64_t, const char *, int, float *, int64_t, __mmask16);

// The factors as llamafile_sgemm has them: m rows of weights and n tokens, of k blocks each.
struct Factors {
    int64_t m, n, k;
    const block_q8_0 * weights;
    int64_t weights_stride;
    const block_q8_0 * tokens;
    int64_t tokens_stride;
    float * out;
    int64_t out_stride;
};

// Packs the tokens of a slice, WIDE of them together, and of these a block after the other.
inline void pack_tokens(const Factors & f, int64_t begin, int64_t end, TokenBlock * out) {
    for (int64_t j = begin; j < end; j += WIDE) {
        const int64_t wide = std::min<int64_t>(WIDE, end - j);
        for (int64_t i = 0; i < wide; ++i) {
            for (int64_t l = 0; l < f.k; ++l) {
                pack(f.tokens[(j + i) * f.tokens_stride + l], out[(j - begin) * f.k + l * wide + i]);
            }
        }
    }
}

// Multiplies the panel that begins with row `first` with the tokens of a slice.
inline void multiply_panel(const Factors & f, int64_t first, bool has_next, int64_t begin, int64_t end,
                           const TokenBlock * tokens, PanelBlock * panel) {
    static const Multiply by_width[WIDE + 1] = {
        nullptr,      multiply<1>,  multiply<2>,  multiply<3>,  multiply<4>,  multiply<5>,
        multiply<6>,  multiply<7>,  multiply<8>,  multiply<9>,  multiply<10>, multiply<11>,
        multiply<12>, multiply<13>, multiply<14>, multiply<15>, multiply<16>,
    };
    const int64_t count = std::min<int64_t>(ROWS, f.m - first);
    const block_q8_0 * rows[ROWS];
    for (int64_t i = 0; i < ROWS; ++i) {
        rows[i] = f.weights + (first + std::min(i, count - 1)) * f.weights_stride;
    }
    const bool is_whole = has_next && f.weights_stride == f.k;
    const char * next = is_whole ? (const char *) (f.weights + (first + ROWS) * f.k) : nullptr;
    // With few tokens turning a panel takes as long as multiplying it: memory must not rest meanwhile.
    const int early = end - begin > 8 ? 0 : 5 * LINE;
    for (int64_t l = 0; l < f.k; ++l) {
        ask_for(next, l, 0, early);
        pack(rows, l, panel[l]);
    }
    const __mmask16 mask = (__mmask16) ((1u << count) - 1);
    for (int64_t j = begin; j < end; j += WIDE) {
        const int64_t wide = std::min<int64_t>(WIDE, end - j);
        float * out = f.out + j * f.out_stride + first;
        by_width[wide](panel, tokens + (j - begin) * f.k, f.k, j == begin ? next : nullptr, early, out, f.out_stride, mask);
    }
}

// Computes what is thread `ith`'s of `nth`: out[j * out_stride + i] is row i times token j.
inline void multiply_panels(const Factors & f, int ith, int nth) {
    thread_local std::vector<TokenBlock> tokens;
    thread_local std::vector<char> memory;
    tokens.resize(std::min(f.n, SLICE) * f.k);
    memory.resize(f.k * sizeof(PanelBlock) + LINE);
    PanelBlock * panel = (PanelBlock *) (((uintptr_t) memory.data() + LINE - 1) / LINE * LINE);
    const int64_t panels = (f.m + ROWS - 1) / ROWS, last = panels * (ith + 1) / nth;
    for (int64_t begin = 0; begin < f.n; begin += SLICE) {
        const int64_t end = std::min(begin + SLICE, f.n);
        pack_tokens(f, begin, end, tokens.data());
        for (int64_t p = panels * ith / nth; p < last; ++p) {
            multiply_panel(f, p * ROWS, p + 1 < last, begin, end, tokens.data(), panel);
        }
    }
}

} // namespace ollamapy

#endif
