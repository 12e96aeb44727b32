#include "client/json.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa::client {
namespace {

TEST(ToJson, WritesDigestsTimesAndDurationsForPrograms) {
  v1::DecodeCost cost;
  cost.mutable_decoder()->set_algorithm(v1::Digest::SHA256);
  cost.mutable_decoder()->set_value(std::string("\x01\xab", 2));
  cost.set_instructions(UINT64_MAX);
  cost.mutable_time()->set_seconds(1);
  cost.mutable_time()->set_nanos(5);
  EXPECT_EQ(ToJson(cost),
            R"({"decoder":"sha256:01ab","decoder_name":"","decodes":0,"encoded_bytes":0,)"
            R"("decoded_bytes":0,"instructions":18446744073709551615,"peak_memory":0,)"
            R"("time":1.000000005})");
}

TEST(ToJson, LeavesOutMessagesThatAreNotSetAndKeepsEmptyLists) {
  v1::ListObjectsResponse page;
  page.add_prefixes("a\"b\\");
  EXPECT_EQ(ToJson(page), R"({"objects":[],"prefixes":["a\"b\\"],"next_page_token":""})");
  v1::DeleteObjectRequest request;
  EXPECT_EQ(ToJson(request), R"({"namespace":"","name":"","version":0,"request_id":""})");
  request.set_if_version(0);
  EXPECT_EQ(ToJson(request),
            R"({"namespace":"","name":"","version":0,"if_version":0,"request_id":""})");
}

TEST(ToJson, SortsMapsAndEscapesBytes) {
  v1::Object object;
  (*object.mutable_metadata())["b"] = "2";
  (*object.mutable_metadata())["a"] = "1";
  object.mutable_source()->set_path("x\xff");
  object.mutable_source()->mutable_modified()->set_seconds(0);
  const std::string json = ToJson(object);
  EXPECT_NE(json.find(R"("metadata":{"a":"1","b":"2"})"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("source":{"path":"x\\xff","modified":"1970-01-01T00:00:00Z","mode":0})"),
            std::string::npos)
      << json;
}

TEST(ToJson, WritesAStatusWithItsReason) {
  v1::VerifiedObject object;
  object.mutable_status();
  EXPECT_NE(ToJson(object).find(R"("status":{"code":"OK","reason":"","message":""})"),
            std::string::npos)
      << ToJson(object);
  google::rpc::ErrorInfo info;
  info.set_reason("DATA_DAMAGED");
  object.mutable_status()->set_code(15);
  object.mutable_status()->set_message("chunk 2\nof 3");
  object.mutable_status()->add_details()->PackFrom(info);
  EXPECT_NE(
      ToJson(object).find(
          R"("status":{"code":"DATA_LOSS","reason":"DATA_DAMAGED","message":"chunk 2\u000aof 3"})"),
      std::string::npos)
      << ToJson(object);
}

TEST(JsonString, EscapesControlCharacters) {
  EXPECT_EQ(JsonString("a\n\x01ü"), "\"a\\u000a\\u0001ü\"");
}

}  // namespace
}  // namespace vxa::client
