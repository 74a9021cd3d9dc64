# What ollamapy changes in llama.cpp before it is compiled; CMake runs this at project(ggml).

foreach(change skip_masked_cells panels attention)
  include("${CMAKE_CURRENT_LIST_DIR}/${change}.cmake")
endforeach()
