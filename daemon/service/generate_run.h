#pragma once
// GenerateRun: a request for text.

#include <map>

#include "daemon/service/answer_run.h"
#include "daemon/service/choice_reader.h"
#include "daemon/service/prompt_preparation.h"

namespace mlxr {

class GenerateRun final : public AnswerRun {
 public:
  GenerateRun(LocalModelService& service, GenerateCall call);

 protected:
  Result<bool> without_engine() override;
  Result<std::vector<std::shared_ptr<ResponseStream>>> submit(Engine& engine) override;
  void take(std::size_t stream, Event& event) override;
  void complete() override;

 private:
  Status check() const;
  // The call's own template counts as that of the model.
  ResolvedModel resolved_for_call() const;
  Result<GenerateRequest> request_for(const Engine& engine, const ModelText& text, const ResolvedModel& model,
                                      PreparedPrompt& prompt);
  Result<std::shared_ptr<const Grammar>> grammar_for(const ModelText& text, const PreparedPrompt& prompt);
  Result<ReasoningLimit> reasoning_limit(const ModelText& text, const PreparedPrompt& prompt) const;
  void prepare_readers(const ModelText& text, const PreparedPrompt& prompt, const std::vector<std::string>& stop);
  void tell_start(const PreparedPrompt& prompt);
  ChoiceReader& reader(int choice);
  void tell(std::vector<AnswerEvent>& events);

  void take_event(PrefillEvent& event);
  void take_event(PromptEvent& event);
  void take_event(DeltaEvent& event);
  void take_event(FinishEvent& event);
  void take_event(DoneEvent& event);
  void take_event(EmbeddingEvent& /*event*/) {}
  void take_event(FailedEvent& /*event*/) {}

  GenerateCall call_;
  ChoiceReaderOptions reader_options_;
  std::map<int, ChoiceReader> readers_;
  DoneEvent done_;
};

}  // namespace mlxr
