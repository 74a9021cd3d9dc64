# Makes products of quantised weights fast on a CPU that has AVX-512 VNNI: see panels_core.h, which is compiled into
# llama.cpp.
#
# As it is, llama.cpp unpacks weights anew for each token or few of them, so that 16 tokens take five times as long as one;
# and it computes few tokens in other ways than many, so that its results differ in the last bits. K-quants take panels
# before its own tiles, and Q4_K is not copied into a layout of its own any more, except where experts are chosen (three
# dimensions). A source that is not as expected stays as it is.

set(folder "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu")
set(mark "ggml_cpu_multiplies_panels")
foreach(name llamafile/sgemm tiled/tiled repack)
  set(source "")
  if(EXISTS "${folder}/${name}.cpp")
    file(READ "${folder}/${name}.cpp" source)
  endif()
  get_filename_component(short "${name}" NAME)
  set(${short} "${source}")
endforeach()

set(function "bool llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k,")
set(before_the_function [=[
#include "ggml-backend.h"
#include "panels.h"

// Tells who loads this library whether it multiplies panels on this machine.
extern "C" {
GGML_BACKEND_API int ggml_cpu_multiplies_panels(void);
GGML_BACKEND_API int ggml_cpu_multiplies_panels(void) {
#ifdef OLLAMAPY_PANELS
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
#ifdef OLLAMAPY_PANELS
    if (Ctype == GGML_TYPE_F32 &&
        ollamapy::multiply_types(Atype, Btype, m, n, k, A, lda, B, ldb, C, ldc, params->ith, params->nth)) {
        return true;
    }
#endif

]=])

set(has_vnni "#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__)")
string(APPEND has_vnni " && defined(GGML_USE_LLAMAFILE)")

set(floor "    if (!ggml_tiled_min_batch(dst->src[1]->ne[1])) {")
set(before_the_floor [=[
    switch (dst->src[0]->type) {
        case GGML_TYPE_Q4_K:
        case GGML_TYPE_Q5_K:
        case GGML_TYPE_Q6_K: return false; // multiplied in panels
        default: break;
    }
#endif
]=])

set(choice "    } else if (cur->type == GGML_TYPE_Q4_K) {")
set(other_choice [=[
    } else if (cur->type == GGML_TYPE_Q4_K && cur->ne[2] == 1) {
        return nullptr; // multiplied in panels, as it is in the file
#endif
]=])

string(FIND "${sgemm}" "${mark}" is_done)
if(is_done GREATER -1)
  return()
endif()
string(FIND "${sgemm}" "${function}" has_function)
string(FIND "${sgemm}" "${checks}" has_checks)
string(FIND "${tiled}" "${floor}" has_floor)
string(FIND "${repack}" "${choice}" has_choice)
if(has_function GREATER -1 AND has_checks GREATER has_function AND has_floor GREATER -1 AND has_choice GREATER -1)
  string(REPLACE "${function}" "${before_the_function}${function}" sgemm "${sgemm}")
  string(REPLACE "${checks}" "${before_the_checks}${checks}" sgemm "${sgemm}")
  string(REPLACE "${floor}" "${has_vnni}\n${before_the_floor}${floor}" tiled "${tiled}")
  string(REPLACE "${choice}" "${has_vnni}\n${other_choice}${choice}" repack "${repack}")
  file(WRITE "${folder}/llamafile/sgemm.cpp" "${sgemm}")
  file(WRITE "${folder}/tiled/tiled.cpp" "${tiled}")
  file(WRITE "${folder}/repack.cpp" "${repack}")
  file(GLOB headers "${CMAKE_CURRENT_LIST_DIR}/panels*.h")
  file(COPY ${headers} DESTINATION "${folder}/llamafile")
  message(STATUS "ollamapy: ${folder} multiplies panels now")
  return()
endif()
message(WARNING "ollamapy: ${folder} is not as expected: quantised weights are multiplied as llama.cpp does")
