# Makes llama.cpp's attention on the CPU cheap where many sequences share one row of KV cells.
#
# CMake runs this at project(ggml), before anything is compiled. As it is, ggml looks at every cell of the row for every
# token of the batch, though nearly all cells belong to other sequences and are masked; and it takes one query head after
# the other, by which time no cache holds a sequence's cells any more. With this masked cells are stepped over 16 or 4 at
# once, and the query heads that share a KV head come one after the other. Streams that decode together have every n-th
# cell each, so that short runs count most. The results are the same to the bit. A source that is not as expected stays as
# it is.

set(path "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/ops.cpp")
set(source "")
if(EXISTS "${path}")
  file(READ "${path}" source)
endif()

set(function "static void ggml_compute_forward_flash_attn_ext_f16_one_chunk(")
set(next_function "static void ggml_compute_forward_flash_attn_ext_tiled(")
set(mark "ggml_cpu_skips_masked_cells")

set(head_by_head [=[
        const int iq2 = (ir - iq3*neq2*neq1)/neq1;
        const int iq1 = (ir - iq3*neq2*neq1 - iq2*neq1);
]=])
set(group_by_group [=[
        const int64_t group_rows = neq1*rk2; // of the query heads that share a KV head
        const int64_t row = ir - iq3*neq2*neq1;
        const int iq1 = row%group_rows/rk2;
        const int iq2 = row/group_rows*rk2 + row%rk2;
]=])

set(cell_by_cell [=[
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
]=])
set(run_by_run [=[
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            const ggml_fp16_t minus_infinity = 0xFC00;
            if (mp && mp[ic] == minus_infinity) {
                const uint64_t four = 0xFC00FC00FC00FC00;
                uint64_t masks[4];
                for (++ic; ic + 16 <= ic_end; ic += 16) {
                    memcpy(masks, mp + ic, sizeof(masks));
                    if ((masks[0] ^ four) | (masks[1] ^ four) | (masks[2] ^ four) | (masks[3] ^ four)) {
                        break;
                    }
                }
                for (; ic + 4 <= ic_end; ic += 4) {
                    memcpy(masks, mp + ic, sizeof(masks[0]));
                    if (masks[0] != four) {
                        break;
                    }
                }
                while (ic < ic_end && mp[ic] == minus_infinity) {
                    ++ic;
                }
                if (ic == ic_end) {
                    break;
                }
            }
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
]=])
set(told [=[
// Tells who loads this library that it was built so.
extern "C" {
GGML_BACKEND_API int ggml_cpu_skips_masked_cells(void);
GGML_BACKEND_API int ggml_cpu_skips_masked_cells(void) {
    return 1;
}
}

]=])

string(FIND "${source}" "${mark}" is_done)
string(FIND "${source}" "${function}" begin)
string(FIND "${source}" "${next_function}" end)
if(is_done GREATER -1)
  return()
endif()
if(begin GREATER -1 AND end GREATER begin)
  math(EXPR length "${end} - ${begin}")
  string(SUBSTRING "${source}" 0 ${begin} before)
  string(SUBSTRING "${source}" ${begin} ${length} body)
  string(SUBSTRING "${source}" ${end} -1 after)
  string(FIND "${body}" "${head_by_head}" has_heads)
  string(FIND "${body}" "${cell_by_cell}" has_cells)
  if(has_heads GREATER -1 AND has_cells GREATER -1)
    string(REPLACE "${head_by_head}" "${group_by_group}" body "${body}")
    string(REPLACE "${cell_by_cell}" "${run_by_run}" body "${body}")
    file(WRITE "${path}" "${before}${told}${body}${after}")
    message(STATUS "ollamapy: ${path} skips masked cells now")
    return()
  endif()
endif()
message(WARNING "ollamapy: ${path} is not as expected: masked cells are not skipped")
