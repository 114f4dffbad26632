// Attention and kv_write of the CPU backend, on every instruction set that the machine has: against the reference,
// against a golden made elsewhere, and bit for bit against itself however the work is cut.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/support/backend_pair.h"

namespace mlxr {
namespace {

struct Heads {
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t key_dim = 64;
  std::int64_t value_dim = 64;
};

struct Sequence {
  std::int64_t context = 0;
  std::int64_t num_new = 0;  // the last of the context
};

struct AttentionCase {
  Heads heads;
  std::int64_t block_tokens = 32;
  KvType type = KvType::kF32;
  std::vector<Sequence> sequences;
  AttentionParams params;
};

std::string describe(const AttentionCase& c) {
  std::string text = "heads " + std::to_string(c.heads.heads) + "/" + std::to_string(c.heads.kv_heads) + " dims " +
                     std::to_string(c.heads.key_dim) + "/" + std::to_string(c.heads.value_dim) + " block " +
                     std::to_string(c.block_tokens) + " " + kv_type_info(c.type).name + " window " +
                     std::to_string(c.params.window) + " softcap " + std::to_string(c.params.softcap);
  for (const Sequence& s : c.sequences)
    text += " [" + std::to_string(s.context) + ", " + std::to_string(s.num_new) + "]";
  return text;
}

// Queries, keys and values of every position of every sequence, and the blocks that each sequence has.
struct Contents {
  explicit Contents(const AttentionCase& c, std::uint64_t seed) {
    TestNumbers numbers(seed);
    std::int64_t blocks = 0;
    for (const Sequence& s : c.sequences) {
      q.push_back(numbers.reals(s.context * c.heads.heads * c.heads.key_dim));
      k.push_back(numbers.reals(s.context * c.heads.kv_heads * c.heads.key_dim));
      v.push_back(numbers.reals(s.context * c.heads.kv_heads * c.heads.value_dim));
      blocks += (s.context + c.block_tokens - 1) / c.block_tokens;
    }
    num_blocks = blocks + 1;
    std::vector<std::int32_t> order(static_cast<std::size_t>(num_blocks));
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t i = order.size() - 1; i > 0; --i)
      std::swap(order[i], order[static_cast<std::size_t>(numbers.below(static_cast<std::int32_t>(i + 1)))]);
    std::size_t next = 0;
    for (const Sequence& s : c.sequences) {
      const auto count = static_cast<std::size_t>((s.context + c.block_tokens - 1) / c.block_tokens);
      table.emplace_back(order.begin() + static_cast<std::ptrdiff_t>(next),
                         order.begin() + static_cast<std::ptrdiff_t>(next + count));
      next += count;
    }
  }

  std::int64_t num_blocks;
  std::vector<std::vector<float>> q, k, v;
  std::vector<std::vector<std::int32_t>> table;
};

// The backend's storage with the whole contents written; every other slot holds NaN, which nobody may touch.
class Cache {
 public:
  Cache(Backend& backend, const AttentionCase& c, const Contents& contents)
      : backend_(backend), case_(c), contents_(contents) {
    const KvLayerLayout layer{c.heads.kv_heads, c.heads.key_dim, c.heads.value_dim};
    auto made = backend.make_kv_storage({{layer, layer}, {contents.num_blocks}, c.block_tokens, c.type});
    EXPECT_TRUE(made.ok());
    storage_ = std::move(made).value();
    poison();
    std::vector<Sequence> all;
    for (const Sequence& s : c.sequences)
      all.push_back({s.context, s.context});
    write(all);
  }

  // A view of the last num_new positions of each context; sequences without a context are left out.
  KvView view(const std::vector<Sequence>& sequences) const {
    std::vector<std::int32_t> starts{0}, lengths, slots, table;
    std::int64_t max_blocks = 1;
    for (const auto& row : contents_.table)
      max_blocks = std::max(max_blocks, static_cast<std::int64_t>(row.size()));
    KvView view;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const auto [context, num_new] = sequences[s];
      if (context == 0) continue;
      starts.push_back(starts.back() + static_cast<std::int32_t>(num_new));
      lengths.push_back(static_cast<std::int32_t>(context));
      for (std::int64_t p = context - num_new; p < context; ++p) {
        slots.push_back(static_cast<std::int32_t>(contents_.table[s][static_cast<std::size_t>(p / case_.block_tokens)] *
                                                      case_.block_tokens +
                                                  p % case_.block_tokens));
      }
      const auto used = static_cast<std::size_t>((context + case_.block_tokens - 1) / case_.block_tokens);
      for (std::size_t b = 0; b < static_cast<std::size_t>(max_blocks); ++b)
        table.push_back(b < used ? contents_.table[s][b] : -1);
      view.max_context = std::max(view.max_context, context);
    }
    const auto count = static_cast<std::int64_t>(lengths.size());
    view.storage = storage_.get();
    view.groups[0].block_table = upload(backend_, {count, max_blocks}, table);
    view.query_start = upload(backend_, {count + 1}, starts);
    view.context_len = upload(backend_, {count}, lengths);
    view.groups[0].slots = upload(backend_, {static_cast<std::int64_t>(slots.size())}, slots);
    return view;
  }

  // One vector a sequence that has a context: its new rows.
  std::vector<std::vector<float>> attend(const std::vector<Sequence>& sequences) const {
    const KvView batch = view(sequences);
    const Heads& h = case_.heads;
    const Tensor q = upload(backend_, {batch.groups[0].slots.dim(0), h.heads, h.key_dim},
                            rows(contents_.q, sequences, h.heads * h.key_dim));
    const std::vector<float> out = download(backend_, Ops(backend_).attention(q, batch, 1, case_.params));
    std::vector<std::vector<float>> result;
    auto at = out.begin();
    for (const auto& [context, num_new] : sequences) {
      if (context == 0) continue;
      const std::int64_t n = num_new * h.heads * h.value_dim;
      result.emplace_back(at, at + n);
      at += n;
    }
    return result;
  }

 private:
  void write(const std::vector<Sequence>& sequences) {
    const KvView all = view(sequences);
    const Heads& h = case_.heads;
    const Tensor k = upload(backend_, {all.groups[0].slots.dim(0), h.kv_heads, h.key_dim},
                            rows(contents_.k, sequences, h.kv_heads * h.key_dim));
    const Tensor v = upload(backend_, {all.groups[0].slots.dim(0), h.kv_heads, h.value_dim},
                            rows(contents_.v, sequences, h.kv_heads * h.value_dim));
    Ops(backend_).kv_write(k, v, all, 1);
  }
  void poison() {
    const std::int64_t slots = contents_.num_blocks * case_.block_tokens;
    const Heads& h = case_.heads;
    std::vector<std::int32_t> ids(static_cast<std::size_t>(slots));
    std::iota(ids.begin(), ids.end(), 0);
    KvView all;
    all.storage = storage_.get();
    all.groups[0].slots = upload(backend_, {slots}, ids);
    const auto nans = [&](std::int64_t dim) {
      const std::vector<float> values(static_cast<std::size_t>(slots * h.kv_heads * dim), std::nanf(""));
      return upload(backend_, {slots, h.kv_heads, dim}, values);
    };
    Ops(backend_).kv_write(nans(h.key_dim), nans(h.value_dim), all, 0);
    Ops(backend_).kv_write(nans(h.key_dim), nans(h.value_dim), all, 1);
  }
  static std::vector<float> rows(const std::vector<std::vector<float>>& of, const std::vector<Sequence>& sequences,
                                 std::int64_t width) {
    std::vector<float> out;
    for (std::size_t s = 0; s < sequences.size(); ++s) {
      const auto [context, num_new] = sequences[s];
      const auto begin = of[s].begin() + (context - num_new) * width;
      out.insert(out.end(), begin, begin + num_new * width);
    }
    return out;
  }

  Backend& backend_;
  const AttentionCase& case_;
  const Contents& contents_;
  std::unique_ptr<KvStorage> storage_;
};

constexpr KvType kPlainTypes[] = {KvType::kF32, KvType::kF16, KvType::kBF16};
constexpr KvType kScaledTypes[] = {KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3};

class Attention : public testing::TestWithParam<Isa> {};

INSTANTIATE_TEST_SUITE_P(Isa, Attention, testing::ValuesIn(test_isas()), isa_test_name);

// A score is a sum of key_dim products, at most 1 each (inputs are below 1), in one chain: an absolute error of
// delta = (key_dim + 8) key_dim epsilon scale, its change of unit included. It changes each weight by a factor of
// e^delta, and so the weighted mean of values below 1 by 2 delta; the sums over the context add 2 (context + 8)
// epsilon, the exponentials 4 epsilon.
//
// A type with scales may store a value up to half a step larger, at most an eighth. Rotation keeps norms: the sum of
// the sizes of a score's terms is at most |q| |k| as before, and an error of each rotated element of the output, whose
// norm is below sqrt(value_dim), becomes one sqrt(value_dim) times as large at most.
double attention_tolerance(const AttentionCase& c) {
  const auto key_dim = static_cast<double>(c.heads.key_dim);
  std::int64_t context = 0;
  for (const Sequence& s : c.sequences)
    context = std::max(context, s.context);
  const double delta = (key_dim + 8) * key_dim * static_cast<double>(c.params.scale) * kEpsilon;
  const double plain = 2 * delta + 2 * (static_cast<double>(context) + 12) * kEpsilon;
  const double rotated = c.type == KvType::kQ4_0 ? std::sqrt(static_cast<double>(c.heads.value_dim)) : 1.0;
  return kv_type_info(c.type).has_scales() ? 1.125 * 1.125 * rotated * plain : plain;
}

void expect_parity(const AttentionCase& c, Isa isa, int num_threads) {
  const Contents contents(c, 7);
  const auto reference = make_reference_backend();
  const auto backend = make_test_backend(isa, num_threads);
  const auto expected = Cache(*reference, c, contents).attend(c.sequences);
  const auto actual = Cache(*backend, c, contents).attend(c.sequences);
  ASSERT_EQ(actual.size(), expected.size());
  const double tolerance = attention_tolerance(c);
  for (std::size_t s = 0; s < actual.size(); ++s) {
    for (std::size_t i = 0; i < actual[s].size(); ++i)
      ASSERT_NEAR(actual[s][i], expected[s][i], tolerance) << describe(c) << ", sequence " << s << " element " << i;
  }
}

TEST_P(Attention, ParityOfHeadShapes) {
  for (const Heads& heads : {Heads{1, 1, 16, 16}, Heads{4, 4, 64, 64}, Heads{6, 2, 80, 80}, Heads{7, 1, 128, 128},
                             Heads{12, 2, 20, 36}, Heads{16, 4, 128, 64}, Heads{64, 1, 24, 24}, Heads{3, 3, 5, 7}}) {
    for (const KvType type : kPlainTypes) {
      const float scale = 1 / std::sqrt(static_cast<float>(heads.key_dim));
      expect_parity({heads, 32, type, {{33, 33}, {1, 1}, {70, 1}, {100, 9}}, {.scale = scale}}, GetParam(), 2);
    }
  }
}

TEST_P(Attention, ParityOfHeadShapesOfTypesWithScales) {
  for (const Heads& heads : {Heads{1, 1, 32, 32}, Heads{4, 4, 64, 64}, Heads{6, 2, 96, 96}, Heads{7, 1, 128, 128},
                             Heads{12, 2, 32, 64}, Heads{4, 2, 256, 96}}) {
    for (const KvType type : kScaledTypes) {
      const float scale = 1 / std::sqrt(static_cast<float>(heads.key_dim));
      expect_parity({heads, 32, type, {{33, 33}, {1, 1}, {70, 1}, {100, 3}}, {.scale = scale}}, GetParam(), 2);
    }
  }
  // A scale for the whole head allows any size.
  expect_parity({{3, 3, 5, 7}, 32, KvType::kFP8_E4M3, {{40, 40}, {70, 1}}, {.scale = 0.4F}}, GetParam(), 2);
}

TEST_P(Attention, ParityOfBlocksWindowsAndCapsOfTypesWithScales) {
  for (const KvType type : kScaledTypes) {
    for (const std::int64_t block_tokens : {1, 8, 16, 20, 64, 100}) {
      for (const std::int64_t window : {0, 7, 64}) {
        expect_parity({{2, 1, 32, 64},
                       block_tokens,
                       type,
                       {{80, 80}, {70, 3}, {530, 1}},
                       {.scale = 0.2F, .window = window, .softcap = window == 7 ? 2.0F : 0.0F}},
                      GetParam(), 2);
      }
    }
  }
}

TEST_P(Attention, ParityOfBlockSizes) {
  for (const std::int64_t block_tokens : {1, 5, 8, 16, 20, 32, 48, 64, 100, 128, 1024}) {
    for (const KvType type : {KvType::kF32, KvType::kF16}) {
      expect_parity({{4, 2, 32, 32}, block_tokens, type, {{150, 150}, {70, 3}, {129, 1}}, {.scale = 0.2F}}, GetParam(),
                    2);
    }
  }
}

TEST_P(Attention, ParityOfWindowsAndCaps) {
  for (const std::int64_t block_tokens : {32, 20}) {
    for (const std::int64_t window : {1, 7, 64, 100, 600}) {
      for (const float softcap : {0.0F, 2.0F}) {
        expect_parity({{4, 2, 32, 32},
                       block_tokens,
                       KvType::kF16,
                       {{220, 220}, {700, 1}, {90, 40}},
                       {.scale = 0.5F, .window = window, .softcap = softcap}},
                      GetParam(), 2);
      }
    }
  }
}

TEST_P(Attention, ParityOfLongContexts) {
  for (const int num_threads : {1, 2, 3}) {
    expect_parity({{4, 1, 64, 64}, 32, KvType::kF16, {{2500, 1}, {1025, 2}}, {.scale = 0.125F}}, GetParam(),
                  num_threads);
    expect_parity({{2, 1, 64, 64}, 24, KvType::kF32, {{1600, 1}}, {.scale = 0.125F, .window = 900}}, GetParam(),
                  num_threads);
  }
}

// The same bits: whole prompt, chunks, token by token, alone or in a batch, with any number of threads.
TEST_P(Attention, BitsDoNotDependOnTheCut) {
  for (const std::int64_t block_tokens : {32, 16, 64, 20}) {
    for (const std::int64_t window : {0, 70, 600}) {
      AttentionCase c{{6, 2, 40, 40},
                      block_tokens,
                      block_tokens == 64 ? KvType::kBF16 : KvType::kF16,
                      {{640, 640}, {77, 77}, {100, 100}},
                      {.scale = 0.3F, .window = window}};
      const Contents contents(c, 11);
      const auto whole_backend = make_test_backend(GetParam(), 1);
      const auto whole = Cache(*whole_backend, c, contents).attend(c.sequences);
      const std::int64_t row = c.heads.heads * c.heads.value_dim;
      const auto rows_of = [&](std::size_t s, std::int64_t begin, std::int64_t end) {
        return std::vector<float>(whole[s].begin() + begin * row, whole[s].begin() + end * row);
      };
      for (const int num_threads : {2, 3}) {
        const auto backend = make_test_backend(GetParam(), num_threads);
        const Cache cache(*backend, c, contents);
        const auto threaded = cache.attend(c.sequences);
        for (std::size_t s = 0; s < 3; ++s)
          ASSERT_TRUE(same_bits(threaded[s], whole[s])) << describe(c) << ", " << num_threads << " threads";
        for (const std::int64_t end : {1, 2, 63, 64, 65, 77}) {
          const auto each = cache.attend({{end, 1}, {end, 1}, {end, end}});
          for (std::size_t s = 0; s < 2; ++s)
            ASSERT_TRUE(same_bits(each[s], rows_of(s, end - 1, end))) << describe(c) << " to " << end;
          ASSERT_TRUE(same_bits(each[2], rows_of(2, 0, end))) << describe(c) << " to " << end;
        }
        for (const std::int64_t end : {100, 511, 512, 513, 530, 577, 640}) {
          const auto alone = cache.attend({{end, 1}, {}, {}});
          ASSERT_TRUE(same_bits(alone[0], rows_of(0, end - 1, end))) << describe(c) << " token " << end;
          const auto chunk = cache.attend({{end, 37}, {}, {}});
          ASSERT_TRUE(same_bits(chunk[0], rows_of(0, end - 37, end))) << describe(c) << " chunk to " << end;
        }
      }
    }
  }
}

TEST_P(Attention, BitsDoNotDependOnTheCutForTypesWithScales) {
  for (const KvType type : kScaledTypes) {
    for (const std::int64_t block_tokens : {32, 20}) {
      AttentionCase c{{6, 2, 64, 96}, block_tokens, type, {{540, 540}, {77, 77}}, {.scale = 0.3F, .window = 530}};
      const Contents contents(c, 23);
      const auto backend = make_test_backend(GetParam(), 2);
      const Cache cache(*backend, c, contents);
      const auto whole = cache.attend(c.sequences);
      const std::int64_t row = c.heads.heads * c.heads.value_dim;
      const auto rows_of = [&](std::size_t s, std::int64_t begin, std::int64_t end) {
        return std::vector<float>(whole[s].begin() + begin * row, whole[s].begin() + end * row);
      };
      for (const std::int64_t end : {1, 2, 31, 33, 64, 65, 77}) {
        const auto each = cache.attend({{end + 463, 1}, {end, end}});
        ASSERT_TRUE(same_bits(each[0], rows_of(0, end + 462, end + 463))) << describe(c) << " to " << end;
        ASSERT_TRUE(same_bits(each[1], rows_of(1, 0, end))) << describe(c) << " to " << end;
      }
      const auto chunk = cache.attend({{540, 37}, {}});
      ASSERT_TRUE(same_bits(chunk[0], rows_of(0, 503, 540))) << describe(c);
    }
  }
}

TEST_P(Attention, BitsDoNotDependOnTheCutForOddHeads) {
  for (const Heads& heads : {Heads{1, 1, 128, 128}, Heads{5, 1, 20, 12}, Heads{14, 2, 64, 64}}) {
    for (const KvType type : {KvType::kF32, KvType::kF16}) {
      AttentionCase c{heads, 32, type, {{150, 150}}, {.scale = 0.2F, .softcap = 5}};
      const Contents contents(c, 13);
      const auto backend = make_test_backend(GetParam(), 2);
      const Cache cache(*backend, c, contents);
      const auto whole = cache.attend(c.sequences);
      const std::int64_t row = heads.heads * heads.value_dim;
      for (std::int64_t p = 0; p < 150; ++p) {
        const auto alone = cache.attend({{p + 1, 1}});
        ASSERT_TRUE(same_bits(alone[0], {whole[0].begin() + p * row, whole[0].begin() + (p + 1) * row}))
            << describe(c) << " position " << p;
      }
    }
  }
}

// Stored keys and values have the reference's bits, for every type and block size.
TEST_P(Attention, KvWriteStoresWhatTheReferenceStores) {
  for (const KvType type :
       {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kQ4_0, KvType::kFP8_E4M3}) {
    for (const std::int64_t block_tokens : {1, 20, 32}) {
      const bool scaled = kv_type_info(type).has_scales();
      const Heads heads = scaled ? Heads{2, 2, 64, 32} : Heads{2, 2, 36, 20};
      AttentionCase c{heads, block_tokens, type, {{90, 90}, {3, 3}}, {}};
      const Contents contents(c, 17);
      const auto reference = make_reference_backend();
      const auto backend = make_test_backend(GetParam(), 3);
      const Cache expected(*reference, c, contents);
      const Cache actual(*backend, c, contents);
      // Both storages have the host layout, so that the reference can read the one that the CPU backend wrote.
      KvView view = expected.view(c.sequences);
      const Tensor q = upload(*reference, {93, 2, heads.key_dim}, TestNumbers(3).reals(93 * 2 * heads.key_dim));
      const auto own = download(*reference, reference->attention(q, view, 1, {}));
      view.storage = actual.view(c.sequences).storage;
      EXPECT_TRUE(same_bits(download(*reference, reference->attention(q, view, 1, {})), own)) << describe(c);
    }
  }
}

// tests/fixtures/ops/attention.bin, made by scripts/make_attention_golden.py: attention in float64 by torch.
class Golden {
 public:
  Golden() : in_(MLXR_SOURCE_DIR "/tests/fixtures/ops/attention.bin", std::ios::binary) {}
  explicit operator bool() const { return static_cast<bool>(in_); }
  std::int32_t integer() { return read<std::int32_t>(); }
  float real() { return read<float>(); }
  std::vector<float> reals(std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    in_.read(reinterpret_cast<char*>(values.data()), n * 4);
    return values;
  }

 private:
  template <class T>
  T read() {
    T value{};
    in_.read(reinterpret_cast<char*>(&value), sizeof(value));
    return value;
  }
  std::ifstream in_;
};

void expect_golden(const std::function<std::unique_ptr<Backend>()>& make, bool exact) {
  Golden golden;
  ASSERT_TRUE(golden) << "tests/fixtures/ops/attention.bin is missing";
  const int cases = golden.integer();
  ASSERT_GE(cases, 4);
  for (int i = 0; i < cases; ++i) {
    AttentionCase c;
    c.heads = {golden.integer(), golden.integer(), golden.integer(), golden.integer()};
    const std::int64_t context = golden.integer();
    c.params.window = golden.integer();
    c.params.scale = golden.real();
    c.params.softcap = golden.real();
    c.sequences = {{context, context}};
    Contents contents(c, 19);
    contents.q[0] = golden.reals(context * c.heads.heads * c.heads.key_dim);
    contents.k[0] = golden.reals(context * c.heads.kv_heads * c.heads.key_dim);
    contents.v[0] = golden.reals(context * c.heads.kv_heads * c.heads.value_dim);
    const auto expected = golden.reals(context * c.heads.heads * c.heads.value_dim);
    ASSERT_TRUE(golden);
    const auto backend = make();
    const auto actual = Cache(*backend, c, contents).attend(c.sequences);
    // Inputs are normal numbers: |q| |k|, which bounds the sum of the sizes of a score's terms, is below 2 key_dim, and
    // values are below 5.
    const double tolerance = exact ? 5 * 2 * kEpsilon : 2 * 5 * attention_tolerance(c);
    for (std::size_t e = 0; e < expected.size(); ++e)
      ASSERT_NEAR(actual[0][e], expected[e], tolerance) << describe(c) << " element " << e;
  }
}

TEST_P(Attention, AgreesWithTorch) {
  expect_golden([] { return make_test_backend(GetParam(), 2); }, false);
}

TEST(ReferenceAttention, AgreesWithTorch) {
  expect_golden([] { return make_reference_backend(); }, true);
}

}  // namespace
}  // namespace mlxr
