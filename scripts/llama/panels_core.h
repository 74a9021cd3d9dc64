// Products of quantised matrices with AVX-512 VNNI, for llama.cpp's CPU backend: what all formats share.
//
// A panel is 16 rows of weights, turned so that a register holds the same four places of all of them: one instruction
// multiplies these 64 weights with four numbers of a token. A panel is turned once for all tokens of a step, and the
// memory of the next one is asked for meanwhile. What a result is summed up from, and in which order, does not depend on
// the other tokens: it is the same to the bit, however many are computed together.
//
// A format is a class with: Weights and Token (ggml's blocks of both factors), Panel (a block of 16 rows, turned) and
// Packed (a block of a token), WIDE (how many tokens are computed together), `pack` for both, and `multiply<N, TURNS>`: it
// adds the products of N tokens with all blocks of a panel, which it turns one by one with TURNS, and writes the results.

#pragma once

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace ollamapy {
namespace { // a library may hold several builds of this for different processors

constexpr int ROWS = 16;
constexpr int LINE = 64;
constexpr int FEW = 8;           // tokens for which turning takes longer than multiplying: both go block by block
constexpr int64_t SLICE = 128; // tokens that are kept packed

// The factors as llamafile_sgemm has them: m rows of weights and n tokens, of k blocks each.
template <typename F> struct Factors {
    int64_t m, n, k;
    const typename F::Weights * weights;
    int64_t weights_stride;
    const typename F::Token * tokens;
    int64_t tokens_stride;
    float * out;
    int64_t out_stride;
};

// A panel with k blocks: its rows as they are in memory, and turned. `mask` tells the rows that exist. The next panel is
// asked for block by block, if there is one.
template <typename F> struct Panels {
    const char * rows[ROWS];
    typename F::Panel * turned;
    int64_t k;
    const char * next;
    float * out;
    int64_t out_stride;
    __mmask16 mask;

    // Returns a block, which with TURNS is turned now, and stays in the nearest cache.
    template <bool TURNS> const typename F::Panel & block(int64_t l) const {
        if (TURNS) {
            F::pack(rows, l * sizeof(typename F::Weights), *turned);
        }
        constexpr int bytes = ROWS * sizeof(typename F::Weights);
        for (int i = 0; next && i < bytes; i += LINE) {
            _mm_prefetch(next + l * bytes + i, _MM_HINT_T1);
        }
        return turned[TURNS ? 0 : l];
    }
};

// Makes room without clearing what a smaller size before left behind.
template <typename T> void grow(std::vector<T> & memory, int64_t size) {
    if ((int64_t) memory.size() < size) {
        memory.resize(size);
    }
}

inline __m512i both(const void * low, const void * high) {
    const __m256i a = _mm256_loadu_si256((const __m256i *) low);
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), _mm256_loadu_si256((const __m256i *) high), 1);
}

// Turns 32 bytes of eight rows: the 128-bit lanes of out[i] are word i of the first four rows, word i + 4 of them, and
// the same of the other four.
inline void turn_half(const char * const * rows, int64_t at, __m512i * out) {
    const __m512i a = both(rows[0] + at, rows[4] + at);
    const __m512i b = both(rows[1] + at, rows[5] + at);
    const __m512i c = both(rows[2] + at, rows[6] + at);
    const __m512i d = both(rows[3] + at, rows[7] + at);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

// Turns 32 bytes of 16 rows, each at `at` bytes behind its pointer: out[i] is their word i, row after row.
inline void turn(const char * const * rows, int64_t at, __m512i * out) {
    __m512i low[4], high[4];
    turn_half(rows, at, low);
    turn_half(rows + 8, at, high);
    for (int i = 0; i < 4; ++i) {
        out[i] = _mm512_shuffle_i32x4(low[i], high[i], 0x88);
        out[i + 4] = _mm512_shuffle_i32x4(low[i], high[i], 0xDD);
    }
}

// Turns 16 bytes of 16 rows in the same way.
inline void turn_short(const char * const * rows, int64_t at, __m512i * out) {
    __m512i part[4];
    for (int i = 0; i < 4; ++i) {
        __m512i lanes = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *) (rows[i] + at)));
        lanes = _mm512_inserti32x4(lanes, _mm_loadu_si128((const __m128i *) (rows[i + 4] + at)), 1);
        lanes = _mm512_inserti32x4(lanes, _mm_loadu_si128((const __m128i *) (rows[i + 8] + at)), 2);
        part[i] = _mm512_inserti32x4(lanes, _mm_loadu_si128((const __m128i *) (rows[i + 12] + at)), 3);
    }
    const __m512i ab_low = _mm512_unpacklo_epi32(part[0], part[1]), ab_high = _mm512_unpackhi_epi32(part[0], part[1]);
    const __m512i cd_low = _mm512_unpacklo_epi32(part[2], part[3]), cd_high = _mm512_unpackhi_epi32(part[2], part[3]);
    out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
}

// Returns the half-precision number at `at` of 16 rows.
inline __m512 halves(const char * const * rows, int64_t at) {
    alignas(32) uint16_t numbers[ROWS];
    for (int i = 0; i < ROWS; ++i) {
        memcpy(&numbers[i], rows[i] + at, sizeof(numbers[i]));
    }
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *) numbers));
}

// Packs the tokens of a slice, WIDE of them together, and of these a block after the other.
template <typename F> void pack_tokens(const Factors<F> & f, int64_t begin, int64_t end, typename F::Packed * out) {
    for (int64_t j = begin; j < end; j += F::WIDE) {
        const int64_t wide = std::min<int64_t>(F::WIDE, end - j);
        for (int64_t i = 0; i < wide; ++i) {
            for (int64_t l = 0; l < f.k; ++l) {
                F::pack(f.tokens[(j + i) * f.tokens_stride + l], out[(j - begin) * f.k + l * wide + i]);
            }
        }
    }
}

template <typename F> using Multiply = void (*)(const Panels<F> &, const typename F::Packed *);

template <typename F, bool TURNS, int... N>
constexpr std::array<Multiply<F>, sizeof...(N)> by_width(std::integer_sequence<int, N...>) {
    return { F::template multiply<N + 1, TURNS>... };
}

// Multiplies the panel that begins with row `first` with the tokens of a slice.
template <typename F>
void multiply_panel(const Factors<F> & f, int64_t first, bool has_next, int64_t begin, int64_t end,
                    const typename F::Packed * tokens, typename F::Panel * turned) {
    static constexpr auto few = by_width<F, true>(std::make_integer_sequence<int, FEW>());
    static constexpr auto many = by_width<F, false>(std::make_integer_sequence<int, F::WIDE>());
    const int64_t count = std::min<int64_t>(ROWS, f.m - first);
    Panels<F> panel = { {}, turned, f.k, nullptr, f.out + begin * f.out_stride + first, f.out_stride, {} };
    panel.mask = (__mmask16) ((1u << count) - 1);
    for (int64_t i = 0; i < ROWS; ++i) {
        panel.rows[i] = (const char *) (f.weights + (first + std::min(i, count - 1)) * f.weights_stride);
    }
    if (has_next && f.weights_stride == f.k) {
        panel.next = (const char *) (f.weights + (first + ROWS) * f.k);
    }
    if (end - begin <= FEW) {
        few[end - begin - 1](panel, tokens);
        return;
    }
    for (int64_t l = 0; l < f.k; ++l) {
        F::pack(panel.rows, l * sizeof(typename F::Weights), turned[l]);
    }
    for (int64_t j = begin; j < end; j += F::WIDE) {
        many[std::min<int64_t>(F::WIDE, end - j) - 1](panel, tokens + (j - begin) * f.k);
        panel.out += F::WIDE * f.out_stride;
        panel.next = nullptr;
    }
}

// Computes what is thread `ith`'s of `nth`: out[j * out_stride + i] is row i times token j.
template <typename F> void multiply_panels(const Factors<F> & f, int ith, int nth) {
    thread_local std::vector<typename F::Packed> tokens;
    thread_local std::vector<char> memory;
    grow(tokens, std::min(f.n, SLICE) * f.k);
    grow(memory, (f.n > FEW ? f.k : 1) * sizeof(typename F::Panel) + LINE);
    auto * panel = (typename F::Panel *) (((uintptr_t) memory.data() + LINE - 1) / LINE * LINE);
    const int64_t panels = (f.m + ROWS - 1) / ROWS, last = panels * (ith + 1) / nth;
    for (int64_t begin = 0; begin < f.n; begin += SLICE) {
        const int64_t end = std::min(begin + SLICE, f.n);
        pack_tokens(f, begin, end, tokens.data());
        for (int64_t p = panels * ith / nth; p < last; ++p) {
            multiply_panel(f, p * ROWS, p + 1 < last, begin, end, tokens.data(), panel);
        }
    }
}

} // namespace
} // namespace ollamapy
