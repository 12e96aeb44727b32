#include "client/download.h"

#include <gtest/gtest.h>

#include <string>

namespace vxa::client {
namespace {

constexpr char kContent[] = "the quick brown fox";

class StringWriter : public Writer {
 public:
  absl::Status Begin(const v1::ReadObjectMetadata&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view bytes) override {
    content.append(bytes);
    return absl::OkStatus();
  }
  std::string content;
};

v1::ReadObjectResponse Metadata(const std::string& content) {
  v1::ReadObjectResponse message;
  message.mutable_metadata()->set_size(content.size());
  *message.mutable_metadata()->mutable_object()->mutable_digest() = DigestOf(content);
  return message;
}

v1::ReadObjectResponse Data(uint64_t offset, const std::string& bytes) {
  v1::ReadObjectResponse message;
  message.mutable_data()->set_read_offset(offset);
  message.mutable_data()->set_data(bytes);
  message.mutable_data()->set_crc32c(Crc32c(bytes));
  return message;
}

v1::ReadObjectResponse End(const std::string& content) {
  v1::ReadObjectResponse message;
  *message.mutable_end()->mutable_digest() = DigestOf(content);
  return message;
}

class DownloadTest : public testing::Test {
 protected:
  v1::ReadObjectRequest request_;
  StringWriter writer_;
};

TEST_F(DownloadTest, GivesTheBytesAndVerifiesTheWhole) {
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  ASSERT_TRUE(download.Take(Data(0, "the quick ")).ok());
  ASSERT_TRUE(download.Take(Data(10, "brown fox")).ok());
  ASSERT_TRUE(download.Take(End(kContent)).ok());
  absl::StatusOr<GetResult> result = download.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->verified);
  EXPECT_EQ(result->bytes, 19u);
  EXPECT_EQ(writer_.content, kContent);
}

TEST_F(DownloadTest, DoesNotClaimThatAPartIsVerified) {
  request_.set_read_offset(4);
  request_.set_read_limit(5);
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  ASSERT_TRUE(download.Take(Data(4, "quick")).ok());
  ASSERT_TRUE(download.Take(End(kContent)).ok());
  absl::StatusOr<GetResult> result = download.Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->verified);
}

TEST_F(DownloadTest, ClaimsNothingOfAViewWithArguments) {
  request_.set_form(v1::VIEW);
  request_.add_view_arguments("--scale=8");
  for (const bool lie : {false, true}) {
    Download download(request_, writer_);
    ASSERT_TRUE(download.Take(Metadata("")).ok());  // its size isn't known
    ASSERT_TRUE(download.Take(Data(0, kContent)).ok());
    v1::ReadObjectResponse end = End(kContent);
    end.mutable_end()->set_verified(lie);
    ASSERT_TRUE(download.Take(end).ok());
    absl::StatusOr<GetResult> result = download.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->bytes, 19u);
    EXPECT_FALSE(result->verified);
  }
}

TEST_F(DownloadTest, SeesThatAViewWithArgumentsCameWrongOrTooLong) {
  request_.set_form(v1::VIEW);
  request_.add_view_arguments("--scale=8");
  for (const bool limited : {false, true}) {
    if (limited) request_.set_read_limit(18);
    Download download(request_, writer_);
    ASSERT_TRUE(download.Take(Metadata("")).ok());
    ASSERT_TRUE(download.Take(Data(0, kContent)).ok());
    ASSERT_TRUE(download.Take(End(limited ? kContent : "the quick brown cat")).ok());
    EXPECT_EQ(download.Finish().status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(DownloadTest, SeesBytesThatDoNotMatchTheirCrc) {
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  v1::ReadObjectResponse data = Data(0, "the quick ");
  (*data.mutable_data()->mutable_data())[3] ^= 1;
  EXPECT_EQ(download.Take(data).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(writer_.content, "");
}

TEST_F(DownloadTest, SeesAGapAndARepetition) {
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  EXPECT_EQ(download.Take(Data(1, "x")).code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(download.Take(Data(0, "the")).ok());
  EXPECT_EQ(download.Take(Data(0, "the")).code(), absl::StatusCode::kDataLoss);
}

TEST_F(DownloadTest, SeesOtherBytesThanThoseKept) {
  const std::string other = "the quick brown cat";
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  ASSERT_TRUE(download.Take(Data(0, other)).ok());
  ASSERT_TRUE(download.Take(End(other)).ok());
  EXPECT_EQ(download.Finish().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DownloadTest, SeesTooFewAndTooManyBytes) {
  for (const std::string content : {"the quick", "the quick brown foxes"}) {
    Download download(request_, writer_);
    ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
    ASSERT_TRUE(download.Take(Data(0, content)).ok());
    ASSERT_TRUE(download.Take(End(kContent)).ok());
    EXPECT_EQ(download.Finish().status().code(), absl::StatusCode::kDataLoss) << content;
  }
}

TEST_F(DownloadTest, SeesAnAnswerThatEndsEarly) {
  Download download(request_, writer_);
  ASSERT_TRUE(download.Take(Metadata(kContent)).ok());
  ASSERT_TRUE(download.Take(Data(0, kContent)).ok());
  EXPECT_EQ(download.Finish().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DownloadTest, RefusesMessagesInAWrongOrder) {
  EXPECT_EQ(Download(request_, writer_).Take(Data(0, "x")).code(), absl::StatusCode::kDataLoss);
  Download twice(request_, writer_);
  ASSERT_TRUE(twice.Take(Metadata(kContent)).ok());
  EXPECT_EQ(twice.Take(Metadata(kContent)).code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(twice.Take(End(kContent)).ok());
  EXPECT_EQ(twice.Take(Data(0, "x")).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace vxa::client
