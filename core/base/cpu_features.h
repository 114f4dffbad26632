#pragma once
// What instructions this processor and its operating system let a kernel use, found at run time, and the names by which
// a user can cap the choice (MLXR_FORCE_ISA). All functions may be called from any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace mlxr {

// A flag is set only when the operating system also saves the registers that the instructions need.
struct CpuFeatures {
  bool avx2 = false;         // AVX2 with FMA, F16C and BMI2
  bool avx_vnni = false;     // the VEX form of vpdpbusd
  bool avx512 = false;       // F, BW, DQ and VL
  bool avx512_vbmi = false;  // byte permutes
  bool avx512_vnni = false;
  bool avx512_bf16 = false;
  bool amx = false;  // TILE, INT8 and BF16, and the kernel granted this process the tile state
  bool neon = false;
  bool dotprod = false;
  bool i8mm = false;

  bool operator==(const CpuFeatures&) const = default;
};

// Levels that kernels are written for, each better than those above it on a machine that has it. A level implies the
// features of the levels it builds on: kAvx512 those of kAvx2, kAvx512Vnni those of kAvx512 and so on.
enum class Isa : std::uint8_t {
  kReference,  // portable C++, on every machine
  kAvx2,
  kAvx2Vnni,
  kAvx512,
  kAvx512Vnni,
  kAvx512Bf16,  // with VNNI
  kAmx,
  kNeon,
  kNeonDotprod,
  kNeonI8mm,
};

// "reference", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx", "neon", "neon_dotprod", "neon_i8mm".
const char* isa_name(Isa isa);
// kInvalidArgument that lists the names when `name` is none of them.
Result<Isa> isa_from_name(std::string_view name);

// The processor's features, uncapped. Asks the kernel for AMX tile state on the first call on a machine with AMX.
CpuFeatures detect_cpu_features();

// Levels that `features` can run, worst first; the first is always kReference. Tests walk this list.
std::vector<Isa> available_isas(const CpuFeatures& features);
Isa best_isa(const CpuFeatures& features);

// `features` less all that `isa` does not imply; kUnsupported, naming what is there, when `features` lacks some of it.
Result<CpuFeatures> cap_features(const CpuFeatures& features, Isa isa);

// detect_cpu_features(), capped by the environment variable MLXR_FORCE_ISA when it is set and not empty. The error
// names the variable and its value.
Result<CpuFeatures> usable_cpu_features();

// The registers that CPUID and XGETBV answer with, as far as features_from_x86 reads them; zero where a leaf is absent.
struct X86Registers {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_ecx = 0;
  std::uint32_t leaf7_edx = 0;
  std::uint32_t leaf7_1_eax = 0;
  std::uint64_t xcr0 = 0;
  bool amx_permitted = false;
};

// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A, CPUID; volume 1, chapter 13 (XCR0).
CpuFeatures features_from_x86(const X86Registers& registers);

}  // namespace mlxr
