# Warnings, sanitizers and floating point rules shared by every target.
add_library(mlxr_options INTERFACE)
target_compile_options(mlxr_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-psabi
  # Results must not depend on how the compiler fuses a multiplication with an addition.
  -ffp-contract=off)
if(MLXR_WERROR)
  target_compile_options(mlxr_options INTERFACE -Werror)
endif()
if(MLXR_SANITIZE)
  target_compile_options(mlxr_options INTERFACE -fsanitize=${MLXR_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(mlxr_options INTERFACE -fsanitize=${MLXR_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's own documentation: with sanitizers warnings that follow values have false positives.
    target_compile_options(mlxr_options INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow)
  endif()
  if(MLXR_SANITIZE MATCHES "undefined")
    target_compile_options(mlxr_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
if(MLXR_FUZZ)
  target_compile_options(mlxr_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
