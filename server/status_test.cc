#include "server/status.h"

#include <gtest/gtest.h>

#include "archive/errors.h"
#include "archive/wire_text.h"
#include "google/rpc/error_details.pb.h"

namespace vxa {
namespace {

TEST(ToGrpcStatus, CarriesTheReasonInItsDetails) {
  const grpc::Status status = ToGrpcStatus(Error(Reason::kObjectNotFound, "no \"x\""));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no \"x\"");
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), 5);
  EXPECT_EQ(details.message(), "no \"x\"");
  ASSERT_EQ(details.details_size(), 1);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "OBJECT_NOT_FOUND");
  EXPECT_EQ(info.domain(), "vxa");
}

TEST(ToGrpcStatus, TellsWhenToTryAgainAfterOverload) {
  const google::rpc::Status status = ToRpcStatus(Error(Reason::kOverloaded, "full"));
  ASSERT_EQ(status.details_size(), 2);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(status.details(1).UnpackTo(&retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
}

TEST(ToGrpcStatus, IsOkForOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(ToGrpcStatus, HasNoReasonForACancelledCall) {
  EXPECT_EQ(ToRpcStatus(absl::CancelledError("gone")).details_size(), 0);
}

TEST(ToGrpcStatus, FitsInTheTrailersThatClientsTake) {
  const grpc::Status status =
      ToGrpcStatus(Error(Reason::kDecoderFailed, std::string(100'000, '\x80')));
  EXPECT_LT(status.error_message().size() * 3 + status.error_details().size() * 4 / 3, 8192u - 512);
}

TEST(ToRpcStatus, HasRoomForAllThatIsPassedOnOfAGuestsWords) {
  const std::string words(4096, '\xff');
  const google::rpc::Status status = ToRpcStatus(Error(Reason::kProofFailed, words + "end"));
  EXPECT_EQ(status.message().size(), 4 * 4096 + 3u);
  EXPECT_LT(ToRpcStatus(Error(Reason::kProofFailed, std::string(1 << 20, 'x'))).message().size(),
            32u << 10);
}

TEST(WireText, KeepsUtf8AndEscapesTheRest) {
  EXPECT_EQ(WireText("aü", 100), "aü");
  EXPECT_EQ(WireText("a\xff", 100), "a\\xff");
  EXPECT_EQ(WireText("ü\xc3", 100), "ü\\xc3");
}

TEST(WireText, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(WireText("\x1b[2J\r\x7f", 100), "\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(WireText("\xc2\x9b", 100), "\\xc2\\x9b");  // U+009B is ESC [ in one
  EXPECT_EQ(WireText(std::string_view("a\0b", 3), 100), "a\\x00b");
  EXPECT_EQ(WireText("two\n\tlines", 100), "two\n\tlines");
}

TEST(WireText, CutsBetweenCharacters) {
  EXPECT_EQ(WireText("aaaüüü", 8), "aaaü...");
  EXPECT_EQ(WireText("aaaüü", 7), "aaaüü");
}

}  // namespace
}  // namespace vxa
