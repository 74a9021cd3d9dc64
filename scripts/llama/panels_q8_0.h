// Panels of Q8_0: blocks of 32 weights with one scale.

#pragma once

#include "panels_core.h"

namespace ollamapy {
namespace {

struct Q8_0 {
    using Weights = block_q8_0;
    using Token = block_q8_0;

    static constexpr int WIDE = 16; // as many sums as there are registers for
    static constexpr int WORDS = QK8_0 / 4;

    // 128 is added to the weights, since one of two factors has to be unsigned.
    struct Panel {
        __m512i words[WORDS];
        __m512 scales;
    };

    // `offset` is -128 times the sum of the numbers, which undoes that addition.
    struct Packed {
        int32_t words[WORDS];
        float scale;
        int32_t offset;
    };

    static void pack(const char * const * rows, int64_t at, Panel & out) {
        turn(rows, at + offsetof(block_q8_0, qs), out.words);
        const __m512i add = _mm512_set1_epi8((char) 0x80);
        for (int i = 0; i < WORDS; ++i) {
            out.words[i] = _mm512_xor_si512(out.words[i], add);
        }
        out.scales = halves(rows, at + offsetof(block_q8_0, d));
    }

    static void pack(const block_q8_0 & token, Packed & out) {
        const __m256i numbers = _mm256_loadu_si256((const __m256i *) token.qs);
        const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), numbers);
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        sum = _mm_hadd_epi32(sum, sum);
        sum = _mm_hadd_epi32(sum, sum);
        _mm256_storeu_si256((__m256i *) out.words, numbers);
        out.scale = GGML_CPU_FP16_TO_FP32(token.d);
        out.offset = -128 * _mm_cvtsi128_si32(sum);
    }

    template <int N, bool TURNS> static void multiply(const Panels<Q8_0> & panel, const Packed * tokens) {
        __m512 sums[N];
        for (int j = 0; j < N; ++j) {
            sums[j] = _mm512_setzero_ps();
        }
        for (int64_t l = 0; l < panel.k; ++l, tokens += N) {
            const Panel & block = panel.template block<TURNS>(l);
            const __m512i * words = block.words;
            const __m512i w0 = words[0], w1 = words[1], w2 = words[2], w3 = words[3];
            const __m512i w4 = words[4], w5 = words[5], w6 = words[6], w7 = words[7];
            const __m512 scales = block.scales;
#pragma GCC unroll 16
            for (int j = 0; j < N; ++j) {
                const Packed & token = tokens[j];
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
            _mm512_mask_storeu_ps(panel.out + j * panel.out_stride, panel.mask, sums[j]);
        }
    }
};

} // namespace
} // namespace ollamapy
