#pragma once
// Answers of /v1/messages: the events of a stream and whole messages.

#include <memory>
#include <string>
#include <vector>

#include "daemon/server/answer_pump.h"

namespace mlxr::server {

struct MessageHead {
  std::string id;          // "msg_..."
  std::string request_id;  // of the HTTP request
  std::string model;
  std::vector<std::string> warnings = {};
};

std::unique_ptr<AnswerWriter> message_stream_writer(MessageHead head);
http::Response message_response(const MessageHead& head, const CollectedAnswer& answer);

}  // namespace mlxr::server
