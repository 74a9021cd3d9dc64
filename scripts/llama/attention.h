// Attention over F16 cells with AVX-512, for llama.cpp's CPU backend.
//
// The query heads that share a KV head, and tokens whose cells are the same but for one, are rows of one block: a cell is
// read and converted once for all of them. Masked cells are left out at the beginning, so that a sequence's cells may lie
// anywhere. Sixteen cells are turned such that a register holds one dimension of all of them. Sums are F32.

#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define OLLAMAPY_ATTENTION

#include "llamafile/panels_core.h"

#include <cmath>

namespace ollamapy {
namespace {

constexpr int LANES = 16;
constexpr int CELLS = 64;      // that are computed together
constexpr int MOST_ROWS = 64;  // of a block
constexpr int MOST_HEADS = 32; // of a block
constexpr int MOST_WIDTH = 64; // numbers of a value that are summed up together
constexpr uint16_t MASKED = 0xFC00; // minus infinity

// The operands of GGML_OP_FLASH_ATTN_EXT and its parameters. `slope` is 1 without ALiBi.
struct Attention {
    const ggml_tensor * q;
    const ggml_tensor * k;
    const ggml_tensor * v;
    const ggml_tensor * mask;
    const ggml_tensor * sinks;
    ggml_tensor * out;
    float scale, max_bias, softcap;

    explicit Attention(ggml_tensor * dst)
        : q(dst->src[0]), k(dst->src[1]), v(dst->src[2]), mask(dst->src[3]), sinks(dst->src[4]), out(dst) {
        float parameters[3];
        memcpy(parameters, dst->op_params, sizeof(parameters));
        scale = parameters[0];
        max_bias = parameters[1];
        softcap = parameters[2];
    }

    bool is_ours() const {
        return q->type == GGML_TYPE_F32 && k->type == GGML_TYPE_F16 && v->type == GGML_TYPE_F16 &&
               k->ne[0] % LANES == 0 && v->ne[0] % LANES == 0 && k->ne[2] == v->ne[2] && k->ne[3] == v->ne[3] &&
               k->ne[3] == q->ne[3] && k->nb[0] == 2 && v->nb[0] == 2 && q->nb[0] == 4 &&
               (!mask || (mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 && mask->nb[0] == 2));
    }

    int64_t heads_of_one() const { return q->ne[2] / k->ne[2]; }

    const uint16_t * mask_of(int64_t token, int64_t batch) const {
        return (const uint16_t *) ((const char *) mask->data + token * mask->nb[1] + batch % mask->ne[3] * mask->nb[3]);
    }

    float slope_of(int64_t head) const {
        if (max_bias <= 0) {
            return 1;
        }
        const uint32_t power = 1u << (uint32_t) floor(log2((uint32_t) q->ne[2]));
        return head < power ? powf(powf(2.0f, -max_bias / power), head + 1)
                            : powf(powf(2.0f, -max_bias / 2 / power), 2 * (head - power) + 1);
    }
};

// What one thread computes with. A block has `count` tokens from `token` on, with `heads` query heads each from `head` on.
struct Block {
    const Attention & a;
    int64_t batch, kv_head, head, heads, token, count;

    std::vector<int32_t> & cells;
    float * queries; // [row][dimension]
    float * keys;    // [dimension][cell], of LANES cells
    float * values;  // [cell][dimension]
    float * weights; // [row][cell]
    float * sums;    // [row][dimension]
    float most[MOST_ROWS];
    __m512 totals[MOST_ROWS];
    float slopes[MOST_HEADS];

    explicit Block(const Attention & attention) : a(attention), cells(kept_cells()) {
        static thread_local std::vector<float> memory;
        const int64_t dk = a.k->ne[0], dv = a.v->ne[0];
        grow(memory, MOST_ROWS * (dk + dv + CELLS) + LANES * dk + CELLS * dv + LANES);
        queries = (float *) (((uintptr_t) memory.data() + LINE - 1) / LINE * LINE);
        keys = queries + MOST_ROWS * dk;
        values = keys + LANES * dk;
        weights = values + CELLS * dv;
        sums = weights + MOST_ROWS * CELLS;
        grow(cells, a.k->ne[1] + LANES);
    }

    static std::vector<int32_t> & kept_cells() {
        static thread_local std::vector<int32_t> kept;
        return kept;
    }

    int64_t rows() const { return count * heads; }

    const char * row_of(const ggml_tensor * t, int64_t cell) const {
        return (const char *) t->data + cell * t->nb[1] + kv_head * t->nb[2] + batch * t->nb[3];
    }
};

// Lists the cells that a token attends to; returns their number.
inline int64_t list_cells(const Attention & a, int64_t token, int64_t batch, int32_t * cells) {
    const int64_t n = a.k->ne[1];
    const uint16_t * mask = a.mask ? a.mask_of(token, batch) : nullptr;
    const __m512i ahead = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int64_t found = 0;
    for (int64_t cell = 0; cell < n; cell += LANES) {
        __mmask16 wanted = n - cell < LANES ? (__mmask16) ((1u << (n - cell)) - 1) : (__mmask16) -1;
        if (mask) {
            const __m256i numbers = _mm256_maskz_loadu_epi16(wanted, mask + cell);
            wanted = _mm256_mask_cmpneq_epi16_mask(wanted, numbers, _mm256_set1_epi16((int16_t) MASKED));
        }
        if (wanted) {
            const __m512i indices = _mm512_add_epi32(_mm512_set1_epi32((int32_t) cell), ahead);
            _mm512_storeu_si512(cells + found, _mm512_maskz_compress_epi32(wanted, indices));
            found += _mm_popcnt_u32(wanted);
        }
    }
    return found;
}

// Whether two tokens follow each other in one sequence: the second attends to the cells of the first and one more, in a
// sliding window without its first one.
inline bool are_alike(const Attention & a, int64_t first, int64_t second, int64_t batch) {
    if (!a.mask) {
        return true;
    }
    const uint16_t * x = a.mask_of(first, batch), * y = a.mask_of(second, batch);
    int more = 0, less = 0;
    bool have_common = false, is_first = true;
    for (int64_t cell = 0; cell < a.k->ne[1] && more <= 1 && less <= 1; cell += 2 * LANES) {
        const int64_t left = a.k->ne[1] - cell;
        const __mmask32 all = left < 2 * LANES ? (__mmask32) ((1u << left) - 1) : (__mmask32) -1;
        const __m512i masked = _mm512_set1_epi16((int16_t) MASKED);
        const __mmask32 in_x = _mm512_mask_cmpneq_epi16_mask(all, _mm512_maskz_loadu_epi16(all, x + cell), masked);
        const __mmask32 in_y = _mm512_mask_cmpneq_epi16_mask(all, _mm512_maskz_loadu_epi16(all, y + cell), masked);
        const __mmask32 lost = in_x & ~in_y;
        if (lost && (!is_first || lost != (in_x & -in_x))) {
            return false;
        }
        more += _mm_popcnt_u32(in_y & ~in_x);
        less += _mm_popcnt_u32(lost);
        have_common |= (in_x & in_y) != 0;
        is_first &= in_x == 0;
    }
    return more <= 1 && less <= 1 && have_common;
}

// Adds the cells of `more` to a sorted list, which has `n` of them.
inline int64_t merge_cells(std::vector<int32_t> & cells, int64_t n, const int32_t * more, int64_t n_more) {
    static thread_local std::vector<int32_t> merged;
    grow(merged, n + n_more + LANES);
    const auto end = std::set_union(cells.begin(), cells.begin() + n, more, more + n_more, merged.begin());
    n = end - merged.begin();
    grow(cells, n + LANES);
    std::copy(merged.begin(), end, cells.begin());
    return n;
}

// Turns 16 cells' keys: out[d * LANES + i] is dimension d of cell i.
inline void turn_keys(const char * const * rows, int64_t dk, float * out) {
    for (int64_t d = 0; d < dk; d += LANES) {
        __m512i words[8];
        turn(rows, d * sizeof(uint16_t), words);
        for (int i = 0; i < 8; ++i, out += 2 * LANES) {
            _mm512_store_ps(out, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words[i])));
            _mm512_store_ps(out + LANES, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(words[i], 16))));
        }
    }
}

// Writes the products of N queries with 16 turned keys.
template <int N> void score(const float * queries, const float * keys, int64_t dk, float * out) {
    __m512 sums[N];
#pragma GCC unroll 12
    for (int j = 0; j < N; ++j) {
        sums[j] = _mm512_setzero_ps();
    }
    for (int64_t d = 0; d < dk; ++d) {
        const __m512 key = _mm512_load_ps(keys + d * LANES);
#pragma GCC unroll 12
        for (int j = 0; j < N; ++j) {
            sums[j] = _mm512_fmadd_ps(_mm512_set1_ps(queries[j * dk + d]), key, sums[j]);
        }
    }
#pragma GCC unroll 12
    for (int j = 0; j < N; ++j) {
        _mm512_store_ps(out + j * CELLS, sums[j]);
    }
}

// Adds the values of `n` cells, W registers of them, to the sums of N rows.
template <int N, int W>
void add_values(const float * weights, const float * values, int64_t n, int64_t dv, float * out) {
    __m512 sums[N][W];
#pragma GCC unroll 6
    for (int j = 0; j < N; ++j) {
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) {
            sums[j][w] = _mm512_load_ps(out + j * dv + w * LANES);
        }
    }
    for (int64_t i = 0; i < n; ++i, values += dv) {
        __m512 value[W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) {
            value[w] = _mm512_load_ps(values + w * LANES);
        }
#pragma GCC unroll 6
        for (int j = 0; j < N; ++j) {
            const __m512 weight = _mm512_set1_ps(weights[j * CELLS + i]);
#pragma GCC unroll 4
            for (int w = 0; w < W; ++w) {
                sums[j][w] = _mm512_fmadd_ps(weight, value[w], sums[j][w]);
            }
        }
    }
#pragma GCC unroll 6
    for (int j = 0; j < N; ++j) {
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) {
            _mm512_store_ps(out + j * dv + w * LANES, sums[j][w]);
        }
    }
}

using Score = void (*)(const float *, const float *, int64_t, float *);
using AddValues = void (*)(const float *, const float *, int64_t, int64_t, float *);

template <int... N> constexpr std::array<Score, sizeof...(N)> scores(std::integer_sequence<int, N...>) {
    return { score<N + 1>... };
}

template <int W, int... N> constexpr std::array<AddValues, sizeof...(N)> adders(std::integer_sequence<int, N...>) {
    return { add_values<N + 1, W>... };
}

constexpr int SCORED_ROWS = 12, ADDED_ROWS = 6; // as many as there are registers for

// Calls `compute(row, count)` for all rows of a block, at most `most` together and about equally many each time.
template <typename Compute> void for_rows(const Block & b, int64_t most, Compute compute) {
    const int64_t rows = b.rows(), times = (rows + most - 1) / most;
    for (int64_t i = 0; i < times; ++i) {
        const int64_t row = rows * i / times;
        compute(row, rows * (i + 1) / times - row);
    }
}

// Writes the scores of `n` cells for all rows. What is missing to 16 cells repeats the last one.
inline void score_cells(Block & b, const int32_t * cells, int64_t n) {
    static constexpr auto score = scores(std::make_integer_sequence<int, SCORED_ROWS>());
    const int64_t dk = b.a.k->ne[0];
    for (int64_t i = 0; i < n; i += LANES) {
        const char * keys[LANES];
        for (int64_t j = 0; j < LANES; ++j) {
            keys[j] = b.row_of(b.a.k, cells[std::min(i + j, n - 1)]);
        }
        turn_keys(keys, dk, b.keys);
        for_rows(b, SCORED_ROWS, [&](int64_t row, int64_t count) {
            score[count - 1](b.queries + row * dk, b.keys, dk, b.weights + row * CELLS + i);
        });
    }
}

// Adds the values of `n` cells to all rows, as they are weighed.
inline void add_cells(Block & b, const int32_t * cells, int64_t n) {
    static constexpr auto rows = std::make_integer_sequence<int, ADDED_ROWS>();
    static constexpr std::array<AddValues, ADDED_ROWS> add[MOST_WIDTH / LANES] = {
        adders<1>(rows), adders<2>(rows), adders<3>(rows), adders<4>(rows),
    };
    const int64_t dv = b.a.v->ne[0];
    for (int64_t i = 0; i < n; ++i) {
        const char * value = b.row_of(b.a.v, cells[i]);
        for (int64_t d = 0; d < dv; d += LANES) {
            const __m256i numbers = _mm256_loadu_si256((const __m256i *) (value + d * sizeof(uint16_t)));
            _mm512_store_ps(b.values + i * dv + d, _mm512_cvtph_ps(numbers));
        }
    }
    for_rows(b, ADDED_ROWS, [&](int64_t row, int64_t count) {
        for (int64_t d = 0; d < dv; d += MOST_WIDTH) {
            const int64_t width = std::min<int64_t>(MOST_WIDTH, dv - d) / LANES;
            add[width - 1][count - 1](b.weights + row * CELLS, b.values + d, n, dv, b.sums + row * dv + d);
        }
    });
}

// Returns the mask of 16 cells of a token as numbers; those beyond `n` are masked.
inline __m512 mask_numbers(const uint16_t * mask, const int32_t * cells, int64_t n) {
    alignas(32) uint16_t numbers[LANES];
    for (int64_t i = 0; i < LANES; ++i) {
        numbers[i] = i >= n ? MASKED : mask ? mask[cells[i]] : 0;
    }
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *) numbers));
}

// Caps and masks the scores of `n` cells.
inline void mask_scores(Block & b, const int32_t * cells, int64_t n) {
    for (int64_t t = 0; t < b.count; ++t) {
        const uint16_t * mask = b.a.mask ? b.a.mask_of(b.token + t, b.batch) : nullptr;
        for (int64_t i = 0; i < n; i += LANES) {
            const __m512 numbers = mask_numbers(mask, cells + i, n - i);
            const __mmask16 masked = _mm512_cmp_ps_mask(numbers, _mm512_set1_ps(-INFINITY), _CMP_EQ_OQ);
            for (int64_t h = 0; h < b.heads; ++h) {
                float * scores = b.weights + (t * b.heads + h) * CELLS + i;
                if (b.a.softcap != 0) {
                    for (int64_t j = 0; j < LANES; ++j) {
                        scores[j] = b.a.softcap * tanhf(scores[j]);
                    }
                }
                const __m512 sum = _mm512_fmadd_ps(_mm512_set1_ps(b.slopes[h]), numbers, _mm512_load_ps(scores));
                _mm512_store_ps(scores, _mm512_mask_mov_ps(sum, masked, numbers));
            }
        }
    }
}

// Multiplies what a row has summed up, since its highest score is higher now.
inline void lower(Block & b, int64_t row, float factor) {
    const int64_t dv = b.a.v->ne[0];
    const __m512 factors = _mm512_set1_ps(factor);
    b.totals[row] = _mm512_mul_ps(b.totals[row], factors);
    for (int64_t d = 0; d < dv; d += LANES) {
        float * sums = b.sums + row * dv + d;
        _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), factors));
    }
}

// Turns a row's scores of `n` cells into weights, relative to its highest score so far.
inline void weigh(Block & b, int64_t row, int64_t n) {
    float * scores = b.weights + row * CELLS;
    __m512 highest = _mm512_set1_ps(b.most[row]);
    __mmask16 odd = 0; // no numbers, which come through
    for (int64_t i = 0; i < n; i += LANES) {
        const __m512 some = _mm512_load_ps(scores + i);
        highest = _mm512_max_ps(highest, some);
        odd |= _mm512_cmp_ps_mask(some, some, _CMP_UNORD_Q);
    }
    const float most = odd ? NAN : _mm512_reduce_max_ps(highest);
    if (most == -INFINITY) {
        memset(scores, 0, CELLS * sizeof(float));
        return;
    }
    if (most != b.most[row] && b.most[row] != -INFINITY) {
        lower(b, row, expf(b.most[row] - most));
    }
    b.most[row] = most;
    for (int64_t i = 0; i < n; i += LANES) {
        const __m512 weights = ggml_v_expf(_mm512_sub_ps(_mm512_load_ps(scores + i), _mm512_set1_ps(most)));
        b.totals[row] = _mm512_add_ps(b.totals[row], weights);
        _mm512_store_ps(scores + i, weights);
    }
}

inline void begin(Block & b) {
    const int64_t dk = b.a.k->ne[0], dv = b.a.v->ne[0];
    const float scale = b.a.softcap != 0 ? b.a.scale / b.a.softcap : b.a.scale;
    for (int64_t h = 0; h < b.heads; ++h) {
        b.slopes[h] = b.a.slope_of(b.head + h);
    }
    for (int64_t row = 0; row < b.rows(); ++row) {
        const ggml_tensor * q = b.a.q;
        const int64_t token = b.token + row / b.heads, head = b.head + row % b.heads;
        const float * query = (const float *) ((const char *) q->data + token * q->nb[1] + head * q->nb[2] + b.batch * q->nb[3]);
        for (int64_t d = 0; d < dk; ++d) {
            b.queries[row * dk + d] = scale * query[d];
        }
        b.most[row] = -INFINITY;
        b.totals[row] = _mm512_setzero_ps();
    }
    memset(b.sums, 0, b.rows() * dv * sizeof(float));
}

// Adds the sinks, which take weight from the cells and have no value.
inline void add_sinks(Block & b) {
    for (int64_t row = 0; b.a.sinks && row < b.rows(); ++row) {
        const float sink = ((const float *) b.a.sinks->data)[b.head + row % b.heads];
        if (sink > b.most[row]) {
            if (b.most[row] != -INFINITY) {
                lower(b, row, expf(b.most[row] - sink));
            }
            b.most[row] = sink;
        }
        b.totals[row] = _mm512_add_ps(b.totals[row], _mm512_maskz_mov_ps(1, _mm512_set1_ps(expf(sink - b.most[row]))));
    }
}

// Writes the means of the values.
inline void finish(Block & b) {
    const int64_t dv = b.a.v->ne[0];
    const ggml_tensor * out = b.a.out;
    for (int64_t row = 0; row < b.rows(); ++row) {
        const int64_t token = b.token + row / b.heads, head = b.head + row % b.heads;
        const float total = _mm512_reduce_add_ps(b.totals[row]);
        const float factor = total == 0 ? 0 : 1 / total;
        float * mean = (float *) ((char *) out->data + (b.batch * out->ne[2] * out->ne[1] + head + token * out->ne[1]) * out->nb[1]);
        for (int64_t d = 0; d < dv; ++d) {
            mean[d] = factor * b.sums[row * dv + d];
        }
    }
}

// Adds listed cells to all rows of a block.
inline void add_list(Block & b, const int32_t * cells, int64_t n) {
    for (int64_t i = 0; i < n; i += CELLS) {
        const int64_t count = std::min<int64_t>(CELLS, n - i);
        score_cells(b, cells + i, count);
        mask_scores(b, cells + i, count);
        for (int64_t row = 0; row < b.rows(); ++row) {
            weigh(b, row, count);
        }
        add_cells(b, cells + i, count);
    }
}

// Computes tokens [first, last) of a KV head, as many together as are alike.
inline void attend_tokens(Block & b, int64_t first, int64_t last) {
    static thread_local std::vector<int32_t> more;
    grow(more, b.a.k->ne[1] + LANES);
    for (b.token = first; b.token < last; b.token += b.count) {
        int64_t n = list_cells(b.a, b.token, b.batch, b.cells.data());
        for (b.count = 1; b.token + b.count < last; ++b.count) {
            if (!are_alike(b.a, b.token + b.count - 1, b.token + b.count, b.batch)) {
                break;
            }
            n = merge_cells(b.cells, n, more.data(), list_cells(b.a, b.token + b.count, b.batch, more.data()));
        }
        begin(b);
        add_list(b, b.cells.data(), n);
        add_sinks(b);
        finish(b);
    }
}

// A single token among threads that its KV heads can't be shared out to evenly: each takes a part of all heads' cells.
// Partial results are [head][thread][highest score, sum of weights, sums of values], which `reduce` puts together.
template <typename Reduce>
void attend_in_parts(const ggml_compute_params * params, Block & b, Reduce reduce) {
    const int64_t dk = b.a.k->ne[0], dv = b.a.v->ne[0], heads = b.a.heads_of_one(), size = 2 + dv;
    float * partials = (float *) params->wdata + params->nth * (dk + 2 * dv + CACHE_LINE_SIZE_F32) + params->ith * size;
    const int64_t n = list_cells(b.a, 0, 0, b.cells.data());
    const int64_t from = n * params->ith / params->nth, to = n * (params->ith + 1) / params->nth;
    b.token = b.batch = 0;
    b.count = 1;
    for (b.kv_head = 0; b.kv_head < b.a.k->ne[2]; ++b.kv_head) {
        for (int64_t head = 0; head < heads; head += MOST_HEADS) {
            b.head = b.kv_head * heads + head;
            b.heads = std::min<int64_t>(MOST_HEADS, heads - head);
            begin(b);
            add_list(b, b.cells.data() + from, to - from);
            if (params->ith == 0) {
                add_sinks(b);
            }
            for (int64_t row = 0; row < b.heads; ++row) {
                float * partial = partials + (b.head + row) * params->nth * size;
                partial[0] = b.most[row];
                partial[1] = _mm512_reduce_add_ps(b.totals[row]);
                memcpy(partial + 2, b.sums + row * dv, dv * sizeof(float));
            }
        }
    }
    ggml_barrier(params->threadpool);
    reduce(params, b.a.out, params->nth, 0);
}

// Computes what is a thread's of an attention; false for types that are not ours.
template <typename Reduce> bool attend(const ggml_compute_params * params, ggml_tensor * dst, Reduce reduce) {
    const Attention a(dst);
    if (params->use_ref || !a.is_ours()) {
        return false;
    }
    Block b(a);
    const int64_t n_tokens = a.q->ne[1], n_batches = a.q->ne[3], kv_heads = a.k->ne[2], heads = a.heads_of_one();
    if (n_tokens == 1 && n_batches == 1 && a.k->ne[1] >= 512 && kv_heads % params->nth != 0) {
        attend_in_parts(params, b, reduce);
        return true;
    }
    const int64_t groups = (heads + MOST_HEADS - 1) / MOST_HEADS;
    const int64_t together = std::min<int64_t>(MOST_ROWS / std::min<int64_t>(heads, MOST_HEADS), LANES);
    const int64_t blocks = (n_tokens + together - 1) / together;
    if (params->ith == 0) {
        ggml_threadpool_chunk_set(params->threadpool, params->nth);
    }
    ggml_barrier(params->threadpool);
    const int64_t units = n_batches * kv_heads * groups * blocks;
    for (int64_t unit = params->ith; unit < units; unit = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        const int64_t block = unit % blocks, group = unit / blocks % groups;
        b.kv_head = unit / blocks / groups % kv_heads;
        b.batch = unit / blocks / groups / kv_heads;
        b.head = b.kv_head * heads + group * MOST_HEADS;
        b.heads = std::min<int64_t>(MOST_HEADS, heads - group * MOST_HEADS);
        attend_tokens(b, block * together, std::min((block + 1) * together, n_tokens));
    }
    return true;
}

} // namespace
} // namespace ollamapy

#endif
