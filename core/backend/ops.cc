#include "core/backend/ops.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace mlxr {
namespace {

[[noreturn]] void mismatch(const char* op, const std::string& text) {
  std::fprintf(stderr, "[%s] %s\n", op, text.c_str());
  std::abort();
}

std::string describe(const char* name, const Tensor& tensor) {
  if (!tensor) return std::string(name) + " (absent)";
  return std::string(name) + " " + dtype_name(tensor.dtype()) + " " + tensor.shape().to_string();
}

void require(bool condition, const char* op, const char* name_a, const Tensor& a, const char* name_b, const Tensor& b) {
  if (!condition) mismatch(op, describe(name_a, a) + " does not fit " + describe(name_b, b));
}

void require_dtype(const char* op, const char* name, const Tensor& tensor, DType dtype) {
  if (!tensor || tensor.dtype() != dtype) {
    mismatch(op, describe(name, tensor) + " is not a tensor of " + std::string(dtype_name(dtype)));
  }
}

void require_weight(const char* op, const Tensor& x, const Weight& w) {
  require_dtype(op, "x", x, DType::kF32);
  if (!w || w.shape.rank() != 2 || x.shape().rank() != 2 || x.dim(1) != w.shape[1]) {
    mismatch(op, "x " + x.shape().to_string() + " does not fit weight " + w.name + " " + w.shape.to_string());
  }
}

void require_bias(const char* op, const Weight& w, const Tensor& bias) {
  if (bias && (bias.dtype() != DType::kF32 || !(bias.shape() == Shape{w.shape[0]}))) {
    mismatch(op, describe("bias", bias) + " does not fit weight " + w.name + " " + w.shape.to_string());
  }
}

void require_norm(const char* op, const Tensor& x, const Tensor& weight) {
  require_dtype(op, "x", x, DType::kF32);
  require_dtype(op, "weight", weight, DType::kF32);
  require(weight.shape() == Shape{x.shape().back()}, op, "x", x, "weight", weight);
}

void require_view(const char* op, const KvView& view, std::int64_t layer) {
  if (view.storage == nullptr) mismatch(op, "the KV view has no storage");
  const auto num_layers = static_cast<std::int64_t>(view.storage->layout().layers.size());
  if (layer < 0 || layer >= num_layers) {
    mismatch(op, "layer " + std::to_string(layer) + " of " + std::to_string(num_layers));
  }
}

// An op over no rows is an empty tensor: backends never see one.
bool empty(const Tensor& x) {
  return x.shape().num_elements() == 0;
}

}  // namespace

Tensor Ops::embed(const Tensor& ids, const Weight& table) const {
  require_dtype("embed", "ids", ids, DType::kI32);
  if (!table || table.shape.rank() != 2 || ids.shape().rank() != 1) {
    mismatch("embed", describe("ids", ids) + " does not fit table " + table.name + " " + table.shape.to_string());
  }
  if (empty(ids)) return backend_.alloc({0, table.shape[1]}, DType::kF32);
  return backend_.embed(ids, table);
}

Tensor Ops::matmul(const Tensor& x, const Weight& w, const Tensor& bias) const {
  require_weight("matmul", x, w);
  require_bias("matmul", w, bias);
  if (empty(x)) return backend_.alloc({x.dim(0), w.shape[0]}, DType::kF32);
  return backend_.matmul(x, w, bias);
}

Tensor Ops::rms_norm(const Tensor& x, const Tensor& weight, float eps) const {
  require_norm("rms_norm", x, weight);
  if (empty(x)) return x;
  return backend_.rms_norm(x, weight, eps);
}

Tensor Ops::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) const {
  require_norm("layer_norm", x, weight);
  if (bias) require(bias.shape() == weight.shape(), "layer_norm", "bias", bias, "weight", weight);
  if (empty(x)) return x;
  return backend_.layer_norm(x, weight, bias, eps);
}

Tensor Ops::rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) const {
  require_dtype("rope_table", "positions", positions, DType::kI32);
  require_dtype("rope_table", "inv_freq", inv_freq, DType::kF32);
  const bool shared = inv_freq.shape().rank() == 1;
  require(shared || (inv_freq.shape().rank() == 2 && inv_freq.dim(0) == positions.dim(0)), "rope_table", "positions",
          positions, "inv_freq", inv_freq);
  return backend_.rope_table(positions, inv_freq, magnitude);
}

Tensor Ops::rope(const Tensor& x, const Tensor& table, RopeStyle style) const {
  require_dtype("rope", "x", x, DType::kF32);
  require_dtype("rope", "table", table, DType::kF32);
  require(x.shape().rank() == 3 && table.shape().rank() == 2 && table.dim(0) == x.dim(0) && table.dim(1) <= x.dim(2) &&
              table.dim(1) % 2 == 0,
          "rope", "x", x, "table", table);
  return backend_.rope(x, table, style);
}

void Ops::kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) const {
  require_view("kv_write", view, layer);
  require_dtype("kv_write", "k", k, DType::kF32);
  require_dtype("kv_write", "v", v, DType::kF32);
  const KvLayerLayout& layout = view.layer_layout(layer);
  const Tensor& slots = view.table(layer).slots;
  const std::int64_t tokens = slots.dim(0);
  require(k.shape() == Shape{tokens, layout.num_kv_heads, layout.key_dim}, "kv_write", "k", k, "slots", slots);
  require(v.shape() == Shape{tokens, layout.num_kv_heads, layout.value_dim}, "kv_write", "v", v, "slots", slots);
  backend_.kv_write(k, v, view, layer);
}

Tensor Ops::attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) const {
  require_view("attention", view, layer);
  require_dtype("attention", "q", q, DType::kF32);
  const KvLayerLayout& layout = view.layer_layout(layer);
  const Tensor& slots = view.table(layer).slots;
  require(q.shape().rank() == 3 && q.dim(2) == layout.key_dim && q.dim(1) % layout.num_kv_heads == 0 &&
              q.dim(0) == slots.dim(0),
          "attention", "q", q, "slots", slots);
  return backend_.attention(q, view, layer, params);
}

Tensor Ops::activate(const Tensor& x, Activation act) const {
  require_dtype("activate", "x", x, DType::kF32);
  if (empty(x)) return x;
  return backend_.activate(x, act);
}

Tensor Ops::gated(const Tensor& gate, const Tensor& up, Activation act) const {
  require_dtype("gated", "gate", gate, DType::kF32);
  require(up && gate.shape() == up.shape(), "gated", "gate", gate, "up", up);
  return backend_.gated(gate, up, act);
}

Tensor Ops::add(const Tensor& a, const Tensor& b) const {
  require_dtype("add", "a", a, DType::kF32);
  require(b && b.dtype() == DType::kF32 && a.shape() == b.shape(), "add", "a", a, "b", b);
  return backend_.add(a, b);
}

Tensor Ops::scale(const Tensor& x, float factor) const {
  require_dtype("scale", "x", x, DType::kF32);
  if (empty(x)) return x;
  return backend_.scale(x, factor);
}

Tensor Ops::softcap(const Tensor& x, float cap) const {
  require_dtype("softcap", "x", x, DType::kF32);
  if (empty(x)) return x;
  return backend_.softcap(x, cap);
}

Tensor Ops::gather_rows(const Tensor& x, const Tensor& rows) const {
  require_dtype("gather_rows", "x", x, DType::kF32);
  require_dtype("gather_rows", "rows", rows, DType::kI32);
  require(x.shape().rank() == 2 && rows.shape().rank() == 1, "gather_rows", "x", x, "rows", rows);
  if (empty(rows)) return backend_.alloc({0, x.dim(1)}, DType::kF32);
  return backend_.gather_rows(x, rows);
}

SumAndNorm Ops::add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps) const {
  require_norm("add_rms_norm", a, weight);
  require(b && a.shape() == b.shape(), "add_rms_norm", "a", a, "b", b);
  return backend_.add_rms_norm(a, b, weight, eps);
}

Tensor Ops::gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act) const {
  require_weight("gate_up", x, gate);
  require_weight("gate_up", x, up);
  if (!(gate.shape == up.shape)) {
    mismatch("gate_up", "gate " + gate.shape.to_string() + " does not fit up " + up.shape.to_string());
  }
  return backend_.gate_up(x, gate, up, act);
}

std::array<Tensor, 3> Ops::matmul3(const Tensor& x, std::array<const Weight*, 3> ws,
                                   const std::array<Tensor, 3>& biases) const {
  for (std::size_t i = 0; i < ws.size(); ++i) {
    require_weight("matmul3", x, *ws[i]);
    require_bias("matmul3", *ws[i], biases[i]);
  }
  std::array<Tensor, 3> out;
  backend_.matmul_shared(x, ws, biases, out);
  return out;
}

}  // namespace mlxr
