#include "client/json.h"

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <map>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/checksum.h"
#include "client/status.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// One value of `field`: the only one for `index` -1, else that element.
std::string Value(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* fields = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return (one ? fields->GetBool(message, field)
                  : fields->GetRepeatedBool(message, field, index))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(one ? fields->GetInt32(message, field)
                              : fields->GetRepeatedInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(one ? fields->GetInt64(message, field)
                              : fields->GetRepeatedInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(one ? fields->GetUInt32(message, field)
                              : fields->GetRepeatedUInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(one ? fields->GetUInt64(message, field)
                              : fields->GetRepeatedUInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return JsonString(
          (one ? fields->GetEnum(message, field) : fields->GetRepeatedEnum(message, field, index))
              ->name());
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = one ? fields->GetString(message, field)
                                   : fields->GetRepeatedString(message, field, index);
      return JsonString(field->type() == FieldDescriptor::TYPE_BYTES ? absl::CHexEscape(text)
                                                                     : text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(one ? fields->GetMessage(message, field)
                        : fields->GetRepeatedMessage(message, field, index));
    default:  // the API has no floating-point numbers
      return "null";
  }
}

std::string Map(const Message& message, const FieldDescriptor* field) {
  std::map<std::string, std::string> entries;  // in the keys' order
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, field, i);
    const Descriptor* type = entry.GetDescriptor();
    entries[Value(entry, type->map_key(), -1)] = Value(entry, type->map_value(), -1);
  }
  return absl::StrCat("{", absl::StrJoin(entries, ",", absl::PairFormatter(":")), "}");
}

std::string List(const Message& message, const FieldDescriptor* field) {
  const int size = message.GetReflection()->FieldSize(message, field);
  std::vector<std::string> values;
  values.reserve(static_cast<size_t>(size));
  for (int i = 0; i < size; ++i) {
    values.push_back(Value(message, field, i));
  }
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

// With names for numbers, and of the details what programs need.
std::string StatusJson(const google::rpc::Status& status) {
  const bool ok = status.code() == 0;
  const absl::Status error = ok ? absl::OkStatus() : FromRpcStatus(status);
  return absl::StrCat("{\"code\":", JsonString(absl::StatusCodeToString(error.code())),
                      ",\"reason\":", JsonString(ErrorReason(error)),
                      ",\"message\":", JsonString(status.message()), "}");
}

}  // namespace

std::string ToJson(const Message& message) {
  if (const auto* digest = dynamic_cast<const v1::Digest*>(&message)) {
    return JsonString(DigestText(*digest));
  }
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return JsonString(google::protobuf::util::TimeUtil::ToString(*time));
  }
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return absl::StrFormat("%d.%09d", duration->seconds(), duration->nanos());
  }
  if (const auto* status = dynamic_cast<const google::rpc::Status*>(&message)) {
    return StatusJson(*status);
  }
  std::vector<std::string> members;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->has_presence() && !message.GetReflection()->HasField(message, field)) continue;
    const std::string value = field->is_map()        ? Map(message, field)
                              : field->is_repeated() ? List(message, field)
                                                     : Value(message, field, -1);
    members.push_back(absl::StrCat(JsonString(field->name()), ":", value));
  }
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  return json + "\"";
}

}  // namespace vxa::client
