// Messages as JSON for programs: field names as in the .proto, with all fields but
// those with presence that aren't set; 64-bit numbers as numbers; a Digest is "sha256:<hex>", a
// Timestamp RFC 3339 in UTC, a Duration seconds as a number, a google.rpc.Status
// {"code","reason","message"} with the reason of its ErrorInfo; bytes that aren't a digest text
// with other than printable ASCII as
// "\xNN".
#ifndef CLIENT_JSON_H_
#define CLIENT_JSON_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace vxa::client {

// On one line, without newline.
std::string ToJson(const google::protobuf::Message& message);

// A JSON string with its quotes. Bytes that aren't UTF-8 are the caller's to avoid.
std::string JsonString(std::string_view text);

}  // namespace vxa::client

#endif  // CLIENT_JSON_H_
