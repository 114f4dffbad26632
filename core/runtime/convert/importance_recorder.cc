#include "core/runtime/convert/importance_recorder.h"

namespace mlxr {

Status ImportanceRecorder::end_step() {
  Status inner = inner_.end_step();
  if (inner.ok()) inner = status_;
  status_ = {};
  return inner;
}

void ImportanceRecorder::record(const Tensor& x, const Weight& w) {
  rows_.resize(static_cast<std::size_t>(x.shape().num_elements()));
  const Status status = inner_.read(x, std::as_writable_bytes(std::span(rows_)));
  if (!status.ok()) {
    if (status_.ok()) status_ = status;
    return;
  }
  const auto columns = static_cast<std::size_t>(x.dim(1));
  Importance::Entry& entry = importance_.entries[w.name];
  entry.sum_squares.resize(columns, 0.0);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    entry.sum_squares[i % columns] += static_cast<double>(rows_[i]) * static_cast<double>(rows_[i]);
  }
  entry.count += x.dim(0);
}

}  // namespace mlxr
