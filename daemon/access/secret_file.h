#pragma once
// Secrets of this machine: 32 random bytes each, in a file of mode 0600 that is made when it is first needed.

#include <string>
#include <string_view>

#include "core/base/secret.h"
#include "core/base/status.h"

namespace mlxr {

// The capability token: a line "mlxr_token_..." in FOLDER/token. Clients of this user read it and send it as a bearer
// token. The folder is made (0700) when it does not exist. Fails when others may read or write the file, when it is not
// this user's, or when it does not hold such a line.
Result<Secret> open_capability_token(const std::string& folder);
// Reads it without making one: for clients. kNotFound.
Result<Secret> read_capability_token(const std::string& folder);
// From which cache salts are derived, in FOLDER/secret; as strict.
Result<Secret> open_server_secret(const std::string& folder);

}  // namespace mlxr
