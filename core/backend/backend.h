#pragma once
// The waist: the one interface between models and machines. A backend owns memory, prepares weights and runs ops on a
// queue. Models never call it directly but through Ops (ops.h), which validates shapes and dtypes once.
//
// Why it looks the way it does:
//  - Ops take and return Tensor handles and no Status. On a queue an op has not run when the call returns, so an error
//    (out of memory, a device fault) is kept and reported by the next read() or end_step().
//  - Every op returns a new tensor and none changes its inputs, so that a lazy array library (MLX) can record a step
//  and
//    evaluate it at read(), and fuse what it likes. The one exception is the KV storage, an object of the backend's
//    own, which kv_write updates: in place on a CPU or GPU, by exchanging arrays where arrays are immutable.
//  - What changes from step to step (token ids, positions, block tables) comes in tensors written by write() between
//    begin_step() and the first op. A GPU captures the ops once and replays them after new contents were written.
//  - alloc() serves from a pool that gives the same buffers for the same sequence of calls, so that captured addresses
//    stay valid, and a steady step does not call malloc. A buffer returns to the pool when its last handle dies: safe
//    on one ordered queue, because later ops run later.
//  - Host numbers that decide launch geometry (token count, max_context) are fields, never read back from a device.
//  - Fused ops have a composed default here; a backend overrides those that it has measured to be faster.
//  - Rotation angles come as a table made once a step (rope_table), since every layer uses the same one.
//
// Batch invariance: row r of a result depends on row r of the inputs (and its own sequence's cache) only, bit for bit,
// however many rows the batch has and however a prompt was cut into chunks.
//
// Threads: one engine thread makes all calls on a backend; the backend may use others inside a call.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/backend/kv_storage.h"
#include "core/backend/weight.h"
#include "core/base/status.h"
#include "core/io/weight_source.h"
#include "core/tensor/tensor.h"

namespace mlxr {

enum class Activation : std::uint8_t { kSilu, kGelu, kGeluTanh, kRelu };

enum class RopeStyle : std::uint8_t {
  kNeox,         // element i is paired with i + dim/2 (Hugging Face)
  kInterleaved,  // element 2i is paired with 2i + 1 (GGUF's llama)
};

struct AttentionParams {
  float scale = 1.0F;
  std::int64_t window = 0;  // a query at position p sees keys in (p - window, p]; 0: all of [0, p]
  float softcap = 0.0F;     // scores become softcap * tanh(score / softcap); 0: off
};

struct SumAndNorm {
  Tensor sum;
  Tensor norm;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;
  // One line for people: the machine, the instruction set, the threads.
  virtual std::string description() const = 0;

  // --- memory and the queue -------------------------------------------------------------------------------------

  // Takes a matrix or table into the backend's layout. Rows are checked by the source; fails with kUnsupported for a
  // type this backend cannot compute with. The source's mapping is kept alive where it is used directly.
  virtual Result<Weight> prepare_weight(const WeightTensor& tensor) = 0;
  // A long-lived tensor with the given contents (norm weights, biases, inverse frequencies).
  virtual Result<Tensor> make_constant(Shape shape, DType dtype, std::span<const std::byte> contents) = 0;
  // Zero-initialised. kResourceExhausted when it does not fit.
  virtual Result<std::unique_ptr<KvStorage>> make_kv_storage(const KvLayout& layout) = 0;

  virtual void begin_step() = 0;
  // Waits for the step and reports its first error.
  virtual Status end_step() = 0;
  // An uninitialised tensor of this step.
  virtual Tensor alloc(Shape shape, DType dtype) = 0;
  // Host to tensor; `contents` may be reused when the call returns. Sizes must be equal.
  virtual void write(const Tensor& tensor, std::span<const std::byte> contents) = 0;
  // Waits until the tensor is computed and copies it out. Sizes must be equal.
  virtual Status read(const Tensor& tensor, std::span<std::byte> contents) = 0;

  // --- ops: activations are f32 and row-major; `tokens` is the number of rows -------------------------------------

  // ids i32 [tokens], table [vocab, hidden] -> [tokens, hidden]. Ids are in range (checked by the batch builder).
  virtual Tensor embed(const Tensor& ids, const Weight& table) = 0;
  // x [tokens, in], w [out, in], bias [out] or empty -> x w^T + bias [tokens, out]
  virtual Tensor matmul(const Tensor& x, const Weight& w, const Tensor& bias) = 0;
  // x [tokens, n] (or [tokens, heads, n]: each head by itself), weight [n]: x / sqrt(mean(x^2) + eps) * weight
  virtual Tensor rms_norm(const Tensor& x, const Tensor& weight, float eps) = 0;
  // (x - mean) / sqrt(var + eps) * weight + bias; bias may be empty
  virtual Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, float eps) = 0;
  // positions i32 [tokens], inv_freq f32 [dim/2] or [tokens, dim/2] -> [tokens, dim]: dim/2 cosines, then dim/2 sines,
  // of position * inv_freq (the product in f32), each times `magnitude`.
  virtual Tensor rope_table(const Tensor& positions, const Tensor& inv_freq, float magnitude) = 0;
  // x [tokens, heads, head_dim], table [tokens, dim], dim <= head_dim: the first dim elements of each head are rotated.
  virtual Tensor rope(const Tensor& x, const Tensor& table, RopeStyle style) = 0;
  // Stores k [tokens, kv_heads, key_dim] and v [tokens, kv_heads, value_dim] of one layer at view.table(layer).slots.
  virtual void kv_write(const Tensor& k, const Tensor& v, const KvView& view, std::int64_t layer) = 0;
  // q [tokens, heads, key_dim] -> [tokens, heads, value_dim]; causal; query row i of a sequence with n new rows stands
  // at position context_len - n + i; head h reads kv head h / (heads / kv_heads).
  virtual Tensor attention(const Tensor& q, const KvView& view, std::int64_t layer, const AttentionParams& params) = 0;
  virtual Tensor activate(const Tensor& x, Activation act) = 0;
  // act(gate) * up, elementwise
  virtual Tensor gated(const Tensor& gate, const Tensor& up, Activation act) = 0;
  virtual Tensor add(const Tensor& a, const Tensor& b) = 0;
  virtual Tensor scale(const Tensor& x, float factor) = 0;
  // cap * tanh(x / cap)
  virtual Tensor softcap(const Tensor& x, float cap) = 0;
  // x [n, width], rows i32 [m] -> [m, width]
  virtual Tensor gather_rows(const Tensor& x, const Tensor& rows) = 0;

  // --- fused ops: composed here ---------------------------------------------------------------------------------

  // sum = a + b; norm = rms_norm(sum, weight, eps)
  virtual SumAndNorm add_rms_norm(const Tensor& a, const Tensor& b, const Tensor& weight, float eps);
  // act(x gate^T) * (x up^T)
  virtual Tensor gate_up(const Tensor& x, const Weight& gate, const Weight& up, Activation act);
  // Several products of the same x: one quantisation of x serves all. biases[i] may be empty; out has ws.size() places.
  virtual void matmul_shared(const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                             std::span<Tensor> out);
};

}  // namespace mlxr
