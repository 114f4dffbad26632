#include "core/base/cpu_features.h"

#include <cstdlib>

#include <fmt/core.h>

#include "core/base/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace mlxr {
namespace {

struct IsaRow {
  Isa isa;
  const char* name;
  CpuFeatures needs;    // present where the level can run
  CpuFeatures implies;  // what stays after a cap: needs, and extras that no level needs
};

constexpr CpuFeatures kNothing{};
constexpr CpuFeatures kAvx2{.avx2 = true};
constexpr CpuFeatures kAvx2Vnni{.avx2 = true, .avx_vnni = true};
constexpr CpuFeatures kAvx512{.avx2 = true, .avx512 = true};
constexpr CpuFeatures kAvx512Vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true};
constexpr CpuFeatures kAvx512VnniAll{
    .avx2 = true, .avx_vnni = true, .avx512 = true, .avx512_vbmi = true, .avx512_vnni = true};
constexpr CpuFeatures kAvx512Bf16{.avx2 = true, .avx512 = true, .avx512_vnni = true, .avx512_bf16 = true};
constexpr CpuFeatures kAvx512Bf16All{
    .avx2 = true, .avx_vnni = true, .avx512 = true, .avx512_vbmi = true, .avx512_vnni = true, .avx512_bf16 = true};
constexpr CpuFeatures kAmx{.avx2 = true, .avx512 = true, .avx512_vnni = true, .avx512_bf16 = true, .amx = true};
constexpr CpuFeatures kAmxAll{.avx2 = true,
                              .avx_vnni = true,
                              .avx512 = true,
                              .avx512_vbmi = true,
                              .avx512_vnni = true,
                              .avx512_bf16 = true,
                              .amx = true};
constexpr CpuFeatures kNeon{.neon = true};
constexpr CpuFeatures kNeonDotprod{.neon = true, .dotprod = true};
constexpr CpuFeatures kNeonI8mm{.neon = true, .dotprod = true, .i8mm = true};

// In the order of enum Isa.
constexpr IsaRow kIsas[] = {
    {Isa::kReference, "reference", kNothing, kNothing},
    {Isa::kAvx2, "avx2", kAvx2, kAvx2},
    {Isa::kAvx2Vnni, "avx2_vnni", kAvx2Vnni, kAvx2Vnni},
    {Isa::kAvx512, "avx512", kAvx512, kAvx512},
    {Isa::kAvx512Vnni, "avx512_vnni", kAvx512Vnni, kAvx512VnniAll},
    {Isa::kAvx512Bf16, "avx512_bf16", kAvx512Bf16, kAvx512Bf16All},
    {Isa::kAmx, "amx", kAmx, kAmxAll},
    {Isa::kNeon, "neon", kNeon, kNeon},
    {Isa::kNeonDotprod, "neon_dotprod", kNeonDotprod, kNeonDotprod},
    {Isa::kNeonI8mm, "neon_i8mm", kNeonI8mm, kNeonI8mm},
};

const IsaRow& row_of(Isa isa) {
  return kIsas[static_cast<std::size_t>(isa)];
}

CpuFeatures both(const CpuFeatures& a, const CpuFeatures& b) {
  return {.avx2 = a.avx2 && b.avx2,
          .avx_vnni = a.avx_vnni && b.avx_vnni,
          .avx512 = a.avx512 && b.avx512,
          .avx512_vbmi = a.avx512_vbmi && b.avx512_vbmi,
          .avx512_vnni = a.avx512_vnni && b.avx512_vnni,
          .avx512_bf16 = a.avx512_bf16 && b.avx512_bf16,
          .amx = a.amx && b.amx,
          .neon = a.neon && b.neon,
          .dotprod = a.dotprod && b.dotprod,
          .i8mm = a.i8mm && b.i8mm};
}

bool can_run(const CpuFeatures& features, const IsaRow& row) {
  return both(features, row.needs) == row.needs;
}

template <class Isas>
std::string list_names(const Isas& isas) {
  std::string names;
  for (const auto& isa : isas)
    names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

#if defined(__x86_64__)
std::uint64_t read_xcr0() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

// Linux hands out the 8 KiB of tile registers only to a process that asks (Documentation/arch/x86/xstate.rst).
bool request_amx() {
#if defined(__linux__)
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
#else
  return false;
#endif
}

X86Registers read_x86_registers() {
  X86Registers registers;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
  std::uint32_t d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return registers;
  registers.leaf1_ecx = c;
  constexpr std::uint32_t kOsxsave = 1U << 27;
  if ((c & kOsxsave) != 0) registers.xcr0 = read_xcr0();
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return registers;
  registers.leaf7_ebx = b;
  registers.leaf7_ecx = c;
  registers.leaf7_edx = d;
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) registers.leaf7_1_eax = a;
  constexpr std::uint32_t kAmxTile = 1U << 24;
  registers.amx_permitted = (registers.leaf7_edx & kAmxTile) != 0 && request_amx();
  return registers;
}
#endif

#if defined(__aarch64__) && defined(__APPLE__)
bool sysctl_flag(const char* name) {
  int value = 0;
  std::size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
#endif

}  // namespace

CpuFeatures features_from_x86(const X86Registers& registers) {
  const auto bits = [](std::uint64_t value, auto... positions) {
    const std::uint64_t mask = ((std::uint64_t{1} << positions) | ...);
    return (value & mask) == mask;
  };
  const bool ymm_saved = bits(registers.leaf1_ecx, 27) && bits(registers.xcr0, 1, 2);
  const bool zmm_saved = ymm_saved && bits(registers.xcr0, 5, 6, 7);
  const bool tiles_saved = zmm_saved && bits(registers.xcr0, 17, 18) && registers.amx_permitted;

  CpuFeatures features;
  features.avx2 = ymm_saved && bits(registers.leaf1_ecx, 12, 28, 29) && bits(registers.leaf7_ebx, 5, 8);
  features.avx_vnni = features.avx2 && bits(registers.leaf7_1_eax, 4);
  features.avx512 = features.avx2 && zmm_saved && bits(registers.leaf7_ebx, 16, 17, 30, 31);
  features.avx512_vbmi = features.avx512 && bits(registers.leaf7_ecx, 1);
  features.avx512_vnni = features.avx512 && bits(registers.leaf7_ecx, 11);
  features.avx512_bf16 = features.avx512 && bits(registers.leaf7_1_eax, 5);
  features.amx = features.avx512 && tiles_saved && bits(registers.leaf7_edx, 22, 24, 25);
  return features;
}

CpuFeatures detect_cpu_features() {
#if defined(__x86_64__)
  return features_from_x86(read_x86_registers());
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kAsimdDotprod = 1UL << 20;
  constexpr unsigned long kI8mm = 1UL << 13;
  return {
      .neon = true, .dotprod = (getauxval(AT_HWCAP) & kAsimdDotprod) != 0, .i8mm = (getauxval(AT_HWCAP2) & kI8mm) != 0};
#elif defined(__aarch64__) && defined(__APPLE__)
  return {.neon = true,
          .dotprod = sysctl_flag("hw.optional.arm.FEAT_DotProd"),
          .i8mm = sysctl_flag("hw.optional.arm.FEAT_I8MM")};
#else
  return {};
#endif
}

const char* isa_name(Isa isa) {
  return row_of(isa).name;
}

Result<Isa> isa_from_name(std::string_view name) {
  std::vector<Isa> all;
  for (const IsaRow& row : kIsas) {
    if (name == row.name) return row.isa;
    all.push_back(row.isa);
  }
  return invalid_argument(fmt::format("instruction set \"{}\" is unknown: use one of {}", name, list_names(all)));
}

std::vector<Isa> available_isas(const CpuFeatures& features) {
  std::vector<Isa> isas;
  for (const IsaRow& row : kIsas) {
    if (can_run(features, row)) isas.push_back(row.isa);
  }
  return isas;
}

Isa best_isa(const CpuFeatures& features) {
  return available_isas(features).back();
}

Result<CpuFeatures> cap_features(const CpuFeatures& features, Isa isa) {
  const IsaRow& row = row_of(isa);
  if (!can_run(features, row)) {
    return unsupported(fmt::format("this machine cannot run instruction set {}: it has {}", row.name,
                                   list_names(available_isas(features))));
  }
  return both(features, row.implies);
}

Result<CpuFeatures> usable_cpu_features() {
  const CpuFeatures features = detect_cpu_features();
  const char* forced = std::getenv("MLXR_FORCE_ISA");
  if (forced == nullptr || *forced == '\0') return features;
  const Result<Isa> isa = isa_from_name(forced);
  if (!isa.ok()) return isa.status().with_context("MLXR_FORCE_ISA");
  Result<CpuFeatures> capped = cap_features(features, *isa);
  if (!capped.ok()) return capped.status().with_context("MLXR_FORCE_ISA");
  return capped;
}

}  // namespace mlxr
