#pragma once
// LoadRun: a request for a model to be there.

#include "daemon/service/answer_run.h"

namespace mlxr {

class LoadRun final : public AnswerRun {
 public:
  LoadRun(LocalModelService& service, CallOptions options) : AnswerRun(service, "load", std::move(options)) {}

 protected:
  Result<std::vector<std::shared_ptr<ResponseStream>>> submit(Engine& /*engine*/) override {
    return std::vector<std::shared_ptr<ResponseStream>>();
  }
  void take(std::size_t /*stream*/, Event& /*event*/) override {}
  void complete() override { done({}); }
};

}  // namespace mlxr
