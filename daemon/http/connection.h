#pragma once
// Connection: one request after another from one peer, each answered before the next is read. Bytes that come early
// (pipelining) wait, up to a bound beyond which nothing is read until their turn.
//
// While an answer is due the reading side is watched. An end that comes then can mean two things. The peer has closed:
// the work is to be cancelled. Or it has shut down its writing side only and still reads. On a Unix socket the system
// tells. On TCP a harmless piece of the answer is sent (an interim 100 response, or a leading zero of the next chunk's
// size), which a closed peer's system answers with a reset; to a peer of HTTP/1.0 nothing harmless can be sent, so that
// the answer itself finds out. With TLS an end is always the end.

#include <memory>
#include <string>

#include "daemon/http/loop.h"
#include "daemon/http/server_core.h"
#include "daemon/http/wire.h"

namespace mlxr::http {

struct ConnectionOptions {
  Peer peer = {};
  std::string bound = {};  // the listener's address
  bool refuse = false;     // there are too many: the first request is answered with 503
};

// Runs on `loop` until its end. Counted in core.connections (or refusing) already.
void start_connection(std::shared_ptr<ServerCore> core, std::shared_ptr<Loop> loop, std::unique_ptr<Wire> wire,
                      ConnectionOptions options);

// On the loop: connections without a request end now, the others after it. The server is stopping.
void wake_connections(Loop& loop);
// On the loop: all end now.
void cut_connections(Loop& loop);

}  // namespace mlxr::http
