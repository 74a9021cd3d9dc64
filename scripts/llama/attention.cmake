# Makes attention over F16 cells fast on a CPU that has AVX-512: see attention.h, which is compiled into llama.cpp.
#
# As it is, llama.cpp takes one query head after the other, reads and converts each cell for each of them, and keeps sums
# in half precision. A source that is not as expected stays as it is.

set(path "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/ops.cpp")
set(plan_path "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/ggml-cpu.c")
set(source "")
set(plan "")
if(EXISTS "${path}" AND EXISTS "${plan_path}")
  file(READ "${path}" source)
  file(READ "${plan_path}" plan)
endif()

set(mark "ggml_cpu_attends_in_blocks")
set(function [=[
static void ggml_compute_forward_flash_attn_ext_f16(
        const ggml_compute_params * params,
        ggml_tensor * dst) {
]=])
set(with_attention [=[
#include "attention.h"

// Tells who loads this library whether attention over F16 cells is computed in blocks on this machine.
extern "C" {
GGML_BACKEND_API int ggml_cpu_attends_in_blocks(void);
GGML_BACKEND_API int ggml_cpu_attends_in_blocks(void) {
#ifdef OLLAMAPY_ATTENTION
    return 1;
#else
    return 0;
#endif
}
}

static void ggml_compute_forward_flash_attn_ext_f16(
        const ggml_compute_params * params,
        ggml_tensor * dst) {
#ifdef OLLAMAPY_ATTENTION
    if (ollamapy::attend(params, dst, ggml_flash_attn_ext_reduce_partials)) {
        return;
    }
#endif

]=])

string(FIND "${source}" "${mark}" is_done)
if(is_done GREATER -1)
  return()
endif()
string(FIND "${source}" "${function}" has_function)
# How a single token's partial results lie in memory, and the room for them.
string(FIND "${source}" "partials_offset  = nth * (DK + 2*DV + CACHE_LINE_SIZE_F32)" has_offset)
string(FIND "${source}" "partial_size     = 2 + DV" has_size)
string(FIND "${plan}" "sizeof(float)*(neq2*n_chunks*(2+DV) + n_tasks*(DK + 2*DV))" has_room)
if(has_function GREATER -1 AND has_offset GREATER -1 AND has_size GREATER -1 AND has_room GREATER -1)
  string(REPLACE "${function}" "${with_attention}" source "${source}")
  file(WRITE "${path}" "${source}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/attention.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/panels_core.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/llamafile")
  message(STATUS "ollamapy: ${path} attends to F16 cells in blocks now")
  return()
endif()
message(WARNING "ollamapy: ${path} is not as expected: attention is llama.cpp's")
