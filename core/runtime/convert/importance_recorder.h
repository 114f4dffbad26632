#pragma once
// A backend that computes with another one and records what meets each weight on the way: works for every architecture,
// since all products pass the waist. Names are those of the source (GGUF's for a GGUF file).

#include "core/backend/backend.h"
#include "core/runtime/convert/importance.h"

namespace mlxr {

class ImportanceRecorder : public Backend {
 public:
  // `inner` must outlive the recorder.
  explicit ImportanceRecorder(Backend& inner) : inner_(inner) {}

  Importance& importance() { return importance_; }

  std::string name() const override { return inner_.name(); }
  std::string description() const override { return inner_.description(); }
  Result<Weight> prepare_weight(const WeightTensor& tensor) override { return inner_.prepare_weight(tensor); }
  Result<Tensor> make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) override {
    return inner_.make_constant(shape, dtype, contents);
  }
  Result<std::unique_ptr<KvStorage>> make_kv_storage(const KvLayout& layout) override {
    return inner_.make_kv_storage(layout);
  }
  void begin_step() override { inner_.begin_step(); }
  // Also reports the first activation that could not be read back.
  Status end_step() override;
  Tensor alloc(Shape shape, DType dtype) override { return inner_.alloc(shape, dtype); }
  void write(const Tensor& tensor, std::span<const std::byte> contents) override { inner_.write(tensor, contents); }
  Status read(const Tensor& tensor, std::span<std::byte> contents) override { return inner_.read(tensor, contents); }

  Tensor embed(const Tensor& ids, const Weight& table) override { return inner_.embed(ids, table); }
  Tensor matmul(const Tensor& x, const Weight& w, const Tensor& bias) override {
    record(x, w);
    return inner_.matmul(x, w, bias);
  }
  Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) override { return inner_.rms_norm(x, weight, eps); }
  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) override {
    return inner_.layer_norm(x, weight, bias, eps);
  }
  Tensor rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) override {
    return inner_.rope_table(positions, inv_freq, magnitude);
  }
  Tensor rope(const Tensor& x, const Tensor& table, RopeStyle style) override { return inner_.rope(x, table, style); }
  void kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) override {
    inner_.kv_write(k, v, view, layer);
  }
  Tensor attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) override {
    return inner_.attention(q, view, layer, params);
  }
  Tensor activate(const Tensor& x, Activation act) override { return inner_.activate(x, act); }
  Tensor gated(const Tensor& gate, const Tensor& up, Activation act) override { return inner_.gated(gate, up, act); }
  Tensor add(const Tensor& a, const Tensor& b) override { return inner_.add(a, b); }
  Tensor scale(const Tensor& x, float factor) override { return inner_.scale(x, factor); }
  Tensor softcap(const Tensor& x, float cap) override { return inner_.softcap(x, cap); }
  Tensor gather_rows(const Tensor& x, const Tensor& rows) override { return inner_.gather_rows(x, rows); }

 private:
  void record(const Tensor& x, const Weight& w);

  Backend& inner_;
  Importance importance_;
  Status status_;
  std::vector<float> rows_;
};

}  // namespace mlxr
