# The libraries of other people. With MLXR_KERNELS_ONLY (a cross build of the floors up to the kernels) only those that
# are headers are taken from the system, each through a folder that holds nothing else of the build machine, and
# GoogleTest is built from its Debian sources.

find_package(Threads REQUIRED)

function(mlxr_headers_only TARGET FOLDER)
  find_path(${FOLDER}_root ${FOLDER} PATHS /usr/include /opt/homebrew/include REQUIRED NO_CMAKE_FIND_ROOT_PATH
    NO_DEFAULT_PATH)
  set(include ${CMAKE_BINARY_DIR}/headers/${FOLDER})
  file(MAKE_DIRECTORY ${include})
  file(CREATE_LINK ${${FOLDER}_root}/${FOLDER} ${include}/${FOLDER} SYMBOLIC)
  add_library(${TARGET} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${TARGET} SYSTEM INTERFACE ${include})
endfunction()

if(MLXR_KERNELS_ONLY)
  mlxr_headers_only(fmt::fmt fmt)
  target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
  mlxr_headers_only(nlohmann_json::nlohmann_json nlohmann)
else()
  find_package(fmt REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
  if(APPLE)
    list(APPEND CMAKE_PREFIX_PATH /opt/homebrew/opt/openssl@3)  # Homebrew does not link it into its prefix
  endif()
  find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto SSL)
endif()

if(MLXR_BUILD_TESTS)
  enable_testing()
  if(MLXR_KERNELS_ONLY)
    set(INSTALL_GTEST OFF)
    set(BUILD_GMOCK OFF)
    add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
  else()
    find_package(GTest REQUIRED)
  endif()
  include(GoogleTest)
endif()
