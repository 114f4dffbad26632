#pragma once
// ResponseBuilder: from the events of an answer to the events and the object of /v1/responses. A stream sends the
// events as they come; a whole answer is the object alone.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/server/json.h"
#include "daemon/server/server_errors.h"
#include "daemon/service/answer_event.h"

namespace mlxr::server {

class ResponseBuilder {
 public:
  // One event; `data` is JSON text with type and sequence_number.
  using Emit = std::function<void(std::string_view type, const std::string& data)>;
  using NewId = std::function<std::string(std::string_view prefix)>;

  struct Head {
    std::string id;  // "resp_..."
    std::int64_t created = 0;
    std::string model;
    Json shown = Json::object();  // members that repeat the request
    std::vector<std::string> warnings = {};
  };

  ResponseBuilder(Head head, NewId new_id, Emit emit)
      : head_(std::move(head)), new_id_(std::move(new_id)), emit_(std::move(emit)) {}

  // response.created and response.in_progress, once.
  void begin();
  void text(const TextDelta& event);
  void reasoning(const ReasoningDelta& event);
  void tool_call(const ToolCallDelta& event);
  void warn(const std::vector<std::string>& warnings);
  void choice_finished(const ChoiceFinished& event) { finish_ = event; }
  // Ends the open item and makes the object final. The last event is sent by send_last(), so that the object can be
  // kept before anyone hears of it.
  void done(const AnswerDone& event);
  void failed(const ApiError& error);
  void send_last();

  bool began() const { return began_; }
  const std::string& id() const { return head_.id; }
  // completed, incomplete, cancelled, failed; in_progress before the end.
  const std::string& status() const { return status_; }
  Json object() const;

 private:
  enum class Item : std::uint8_t { kNone, kReasoning, kMessage, kCall };

  void send(std::string_view type, Json members);
  // Ends the open item unless it is of this kind (and, of calls, the same one), and opens a new one.
  bool open(Item kind, int call, std::string_view id_prefix);
  void close();
  void close_reasoning();
  void close_message();
  void close_call();
  Json place() const;  // item_id and output_index of the open item

  Head head_;
  NewId new_id_;
  Emit emit_;
  bool began_ = false;
  std::int64_t sequence_ = 0;
  std::string status_ = "in_progress";
  Json output_ = Json::array();  // finished items
  Item item_ = Item::kNone;
  int call_ = -1;
  std::string item_id_;
  std::string item_text_;
  std::string call_id_;
  std::string call_name_;
  Json logprobs_ = Json::array();
  ChoiceFinished finish_;
  AnswerDone done_;
  Json error_;
  Json incomplete_;
};

}  // namespace mlxr::server
