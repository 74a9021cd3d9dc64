// Which products of llama.cpp's CPU backend are computed in panels: see panels_core.h.

#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)
#define OLLAMAPY_PANELS

#include "panels_k.h"
#include "panels_q8_0.h"

namespace ollamapy {
namespace {

template <typename F>
bool multiply(int64_t m, int64_t n, int64_t k, const void * a, int64_t lda, const void * b, int64_t ldb, void * c,
              int64_t ldc, int ith, int nth) {
    const Factors<F> factors = {
        m, n, k, (const typename F::Weights *) a, lda, (const typename F::Token *) b, ldb, (float *) c, ldc,
    };
    multiply_panels(factors, ith, nth);
    return true;
}

// Computes what is thread `ith`'s of a product with the arguments of llamafile_sgemm; false for other types.
template <typename... Arguments> bool multiply_types(int weights, int tokens, Arguments... arguments) {
    if (weights == GGML_TYPE_Q8_0 && tokens == GGML_TYPE_Q8_0) {
        return multiply<Q8_0>(arguments...);
    }
    if (tokens != GGML_TYPE_Q8_K) {
        return false;
    }
    switch (weights) {
        case GGML_TYPE_Q4_K: return multiply<Q4K>(arguments...);
        case GGML_TYPE_Q5_K: return multiply<Q5K>(arguments...);
        case GGML_TYPE_Q6_K: return multiply<Q6K>(arguments...);
        default: return false;
    }
}

} // namespace
} // namespace ollamapy

#endif
