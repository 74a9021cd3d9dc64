# Makes products of Q8_0 weights fast on a CPU that has AVX-512 VNNI: see q8_0_panels.h, which is compiled into llama.cpp.
#
# As it is, llama.cpp multiplies pairs of blocks that both change with each instruction, so that 16 tokens take five times
# as long as one; and it computes a single token in another way than several, so that its results differ in the last bits.
# A source that is not as expected stays as it is.

set(path "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/llamafile/sgemm.cpp")
set(source "")
if(EXISTS "${path}")
  file(READ "${path}" source)
endif()

set(function "bool llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,")
set(mark "ggml_cpu_multiplies_panels")
set(before_the_function [=[
#include "ggml-backend.h"
#include "q8_0_panels.h"

// Tells who loads this library whether it multiplies panels on this machine.
extern "C" {
GGML_BACKEND_API int ggml_cpu_multiplies_panels(void);
GGML_BACKEND_API int ggml_cpu_multiplies_panels(void) {
#ifdef OLLAMAPY_Q8_0_PANELS
    return 1;
#else
    return 0;
#endif
}
}

]=])

set(checks [=[
    // only enable sgemm for prompt processing
]=])
set(before_the_checks [=[
#ifdef OLLAMAPY_Q8_0_PANELS
    if (Atype == GGML_TYPE_Q8_0 && Btype == GGML_TYPE_Q8_0 && Ctype == GGML_TYPE_F32) {
        ollamapy::multiply_panels({ m, n, k, (const block_q8_0 *) A, lda, (const block_q8_0 *) B, ldb, (float *) C, ldc },
                                  params->ith, params->nth);
        return true;
    }
#endif

]=])

string(FIND "${source}" "${mark}" is_done)
if(is_done GREATER -1)
  return()
endif()
string(FIND "${source}" "${function}" has_function)
string(FIND "${source}" "${checks}" has_checks)
if(has_function GREATER -1 AND has_checks GREATER has_function)
  string(REPLACE "${function}" "${before_the_function}${function}" source "${source}")
  string(REPLACE "${checks}" "${before_the_checks}${checks}" source "${source}")
  file(WRITE "${path}" "${source}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/q8_0_panels.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/llamafile")
  message(STATUS "ollamapy: ${path} multiplies Q8_0 panels now")
  return()
endif()
message(WARNING "ollamapy: ${path} is not as expected: Q8_0 is multiplied as llama.cpp does")
