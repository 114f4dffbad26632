#include "core/base/cpu_features.h"

#include <cstdlib>
#include <optional>
#include <string>

#include <gtest/gtest.h>

namespace mlxr {
namespace {

constexpr std::uint32_t kOsxsave = 1U << 27;
constexpr std::uint32_t kAvxFmaF16c = (1U << 12) | (1U << 28) | (1U << 29);
constexpr std::uint32_t kAvx2Bmi2 = (1U << 5) | (1U << 8);
constexpr std::uint32_t kAvx512FBwDqVl = (1U << 16) | (1U << 17) | (1U << 30) | (1U << 31);
constexpr std::uint32_t kVbmiVnni = (1U << 1) | (1U << 11);
constexpr std::uint32_t kAmx = (1U << 22) | (1U << 24) | (1U << 25);
constexpr std::uint64_t kYmm = 0x7;
constexpr std::uint64_t kZmm = 0xe7;
constexpr std::uint64_t kTiles = kZmm | (3U << 17);

X86Registers sapphire_rapids() {
  return {.leaf1_ecx = kOsxsave | kAvxFmaF16c,
          .leaf7_ebx = kAvx2Bmi2 | kAvx512FBwDqVl,
          .leaf7_ecx = kVbmiVnni,
          .leaf7_edx = kAmx,
          .leaf7_1_eax = (1U << 4) | (1U << 5),
          .xcr0 = kTiles,
          .amx_permitted = true};
}

TEST(CpuFeatures, HaswellIsAvx2) {
  const CpuFeatures features =
      features_from_x86({.leaf1_ecx = kOsxsave | kAvxFmaF16c, .leaf7_ebx = kAvx2Bmi2, .xcr0 = kYmm});
  EXPECT_EQ(features, CpuFeatures{.avx2 = true});
  EXPECT_EQ(best_isa(features), Isa::kAvx2);
}

TEST(CpuFeatures, EverythingOnSapphireRapids) {
  const CpuFeatures features = features_from_x86(sapphire_rapids());
  EXPECT_EQ(features, (CpuFeatures{.avx2 = true,
                                   .avx_vnni = true,
                                   .avx512 = true,
                                   .avx512_vbmi = true,
                                   .avx512_vnni = true,
                                   .avx512_bf16 = true,
                                   .amx = true}));
  EXPECT_EQ(available_isas(features), (std::vector<Isa>{Isa::kReference, Isa::kAvx2, Isa::kAvx2Vnni, Isa::kAvx512,
                                                        Isa::kAvx512Vnni, Isa::kAvx512Bf16, Isa::kAmx}));
}

TEST(CpuFeatures, RegistersThatTheSystemDoesNotSaveAreNotUsed) {
  X86Registers registers = sapphire_rapids();
  registers.amx_permitted = false;
  EXPECT_FALSE(features_from_x86(registers).amx);
  EXPECT_TRUE(features_from_x86(registers).avx512_bf16);
  registers.xcr0 = kYmm;
  EXPECT_EQ(features_from_x86(registers), (CpuFeatures{.avx2 = true, .avx_vnni = true}));
  registers.xcr0 = 0x3;
  EXPECT_EQ(features_from_x86(registers), CpuFeatures{});
  registers = sapphire_rapids();
  registers.leaf1_ecx &= ~kOsxsave;
  EXPECT_EQ(features_from_x86(registers), CpuFeatures{});
}

TEST(CpuFeatures, CapKeepsWhatTheLevelImplies) {
  const CpuFeatures all = features_from_x86(sapphire_rapids());
  for (const Isa isa : available_isas(all)) {
    const Result<CpuFeatures> capped = cap_features(all, isa);
    ASSERT_TRUE(capped.ok()) << isa_name(isa);
    EXPECT_EQ(best_isa(*capped), isa);
  }
  EXPECT_EQ(*cap_features(all, Isa::kReference), CpuFeatures{});
  EXPECT_EQ(*cap_features(all, Isa::kAmx), all);
}

TEST(CpuFeatures, CapToMoreThanThereIsFails) {
  const Result<CpuFeatures> capped = cap_features(CpuFeatures{.avx2 = true}, Isa::kAvx512Bf16);
  ASSERT_FALSE(capped.ok());
  EXPECT_EQ(capped.status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(capped.status().message(), "this machine cannot run instruction set avx512_bf16: it has reference, avx2");
  EXPECT_FALSE(cap_features(CpuFeatures{.avx2 = true}, Isa::kNeon).ok());
}

TEST(CpuFeatures, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(Isa::kNeonI8mm); ++i) {
    const Isa isa = static_cast<Isa>(i);
    const Result<Isa> parsed = isa_from_name(isa_name(isa));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, isa);
  }
  EXPECT_EQ(isa_from_name("AVX2").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(isa_from_name("").status().code(), StatusCode::kInvalidArgument);
}

TEST(CpuFeatures, EnvironmentCapsTheChoice) {
  const char* before = std::getenv("MLXR_FORCE_ISA");
  const std::optional<std::string> saved = before != nullptr ? std::optional<std::string>(before) : std::nullopt;
  const CpuFeatures detected = detect_cpu_features();

  unsetenv("MLXR_FORCE_ISA");
  EXPECT_EQ(*usable_cpu_features(), detected);
  setenv("MLXR_FORCE_ISA", "", 1);
  EXPECT_EQ(*usable_cpu_features(), detected);
  for (const Isa isa : available_isas(detected)) {
    setenv("MLXR_FORCE_ISA", isa_name(isa), 1);
    const Result<CpuFeatures> capped = usable_cpu_features();
    ASSERT_TRUE(capped.ok()) << isa_name(isa);
    EXPECT_EQ(best_isa(*capped), isa);
  }
  setenv("MLXR_FORCE_ISA", "mmx", 1);
  EXPECT_EQ(usable_cpu_features().status().message().rfind("MLXR_FORCE_ISA: instruction set \"mmx\" is unknown", 0),
            0U);

  if (saved) {
    setenv("MLXR_FORCE_ISA", saved->c_str(), 1);
  } else {
    unsetenv("MLXR_FORCE_ISA");
  }
}

TEST(CpuFeatures, DetectionAgreesWithTheCompiler) {
  const CpuFeatures features = detect_cpu_features();
#if defined(__x86_64__)
  EXPECT_EQ(features.avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(features.avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
  EXPECT_EQ(features.avx512_vnni, features.avx512 && __builtin_cpu_supports("avx512vnni"));
#elif defined(__aarch64__)
  EXPECT_TRUE(features.neon);
#endif
  EXPECT_EQ(detect_cpu_features(), features);
}

}  // namespace
}  // namespace mlxr
