// The client library against a server in this program that says whatever a test wants.
#include "client/client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/checksum.h"

namespace vxa::client {
namespace {

// Keeps what it was asked and gives the answers it was told.
class ScriptedServer : public v1::Archive::Service {
 public:
  ScriptedServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~ScriptedServer() override { server_->Shutdown(); }

  const std::string& address() const { return address_; }

  grpc::Status WriteObject(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::WriteObjectResponse, v1::WriteObjectRequest>* stream) override {
    v1::WriteObjectRequest message;
    while (stream->Read(&message)) {
      if (message.has_spec()) spec = message.spec();
      if (message.has_data()) received += message.data().data();
      if (message.has_finish()) finish = message.finish();
    }
    v1::WriteObjectResponse response;
    response.mutable_result()->mutable_object()->set_version(1);
    stream->Write(response);
    return grpc::Status::OK;
  }

  grpc::Status VerifyObjects(grpc::ServerContext*, const v1::VerifyObjectsRequest*,
                             grpc::ServerWriter<v1::VerifyObjectsResponse>* stream) override {
    for (const v1::VerifyObjectsResponse& message : verification) stream->Write(message);
    return verify_status;
  }

  grpc::Status RegisterDecoder(grpc::ServerContext*, const v1::RegisterDecoderRequest*,
                               v1::Decoder* response) override {
    *response = decoder;
    return grpc::Status::OK;
  }

  grpc::Status GetDecoder(grpc::ServerContext*, const v1::GetDecoderRequest*,
                          v1::GetDecoderResponse* response) override {
    *response->mutable_decoder() = decoder;
    response->set_image(image);
    return grpc::Status::OK;
  }

  grpc::Status ListDecoders(grpc::ServerContext*, const v1::ListDecodersRequest* request,
                            v1::ListDecodersResponse* response) override {
    // Pages "" and "1" and "2", of one decoder each.
    const int page = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    response->add_decoders()->set_name(request->namespace_() + std::to_string(page));
    if (page < 2) response->set_next_page_token(std::to_string(page + 1));
    return grpc::Status::OK;
  }

  v1::WriteObjectSpec spec;
  std::string received;
  v1::WriteObjectFinish finish;
  std::vector<v1::VerifyObjectsResponse> verification;
  grpc::Status verify_status;
  v1::Decoder decoder;
  std::string image;

 private:
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

class OnePiece : public Reader {
 public:
  explicit OnePiece(std::string_view bytes) : bytes_(bytes) {}
  absl::StatusOr<std::string_view> Next() override { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

v1::VerifyObjectsResponse Verified(const std::string& name) {
  v1::VerifyObjectsResponse message;
  message.mutable_object()->set_name(name);
  return message;
}

v1::VerifyObjectsResponse ReadSoFar(uint64_t bytes) {
  v1::VerifyObjectsResponse message;
  message.mutable_progress()->set_bytes(bytes);
  return message;
}

v1::VerifyObjectsResponse Summary(uint64_t objects) {
  v1::VerifyObjectsResponse message;
  message.mutable_summary()->set_objects(objects);
  return message;
}

class ClientTest : public testing::Test {
 protected:
  absl::StatusOr<v1::VerifySummary> Verify() {
    return client_.Verify({}, [this](const v1::VerifyObjectsResponse& message) {
      taken_.push_back(message.has_progress() ? "..." : message.object().name());
      return take_status_;
    });
  }

  ScriptedServer server_;
  Client client_{{.server = server_.address()}};
  std::vector<std::string> taken_;
  absl::Status take_status_;
};

TEST_F(ClientTest, APutWithADecodingSendsTheEncodedBytesAndTheirDigest) {
  v1::WriteObjectSpec spec;
  spec.set_name("x");
  *spec.mutable_decoding()->mutable_decoder() = DigestOf("decoder");
  spec.mutable_decoding()->add_arguments("raw");
  *spec.mutable_decoding()->mutable_original_digest() = DigestOf("original");
  OnePiece reader("encoded");
  absl::StatusOr<v1::WriteObjectResult> result = client_.Put(spec, reader);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(server_.spec.SerializeAsString(), spec.SerializeAsString());
  EXPECT_EQ(server_.received, "encoded");
  EXPECT_TRUE(SameDigest(server_.finish.digest(), DigestOf("encoded")));
}

TEST_F(ClientTest, VerifyHandsOnWhatComesAndReturnsTheSummary) {
  server_.verification = {Verified("a"), ReadSoFar(5), Verified("b"), Summary(2)};
  absl::StatusOr<v1::VerifySummary> summary = Verify();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->objects(), 2u);
  EXPECT_EQ(taken_, (std::vector<std::string>{"a", "...", "b"}));
}

TEST_F(ClientTest, VerifyEndsWhenItsCallbackFails) {
  server_.verification = {Verified("a"), Verified("b"), Summary(2)};
  take_status_ = absl::UnknownError("can't write");
  EXPECT_EQ(Verify().status(), take_status_);
  EXPECT_EQ(taken_, (std::vector<std::string>{"a"}));
}

TEST_F(ClientTest, AVerificationWithoutSummaryDidNotComeToItsEnd) {
  server_.verification = {Verified("a")};
  EXPECT_EQ(Verify().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientTest, NothingFollowsAVerificationsSummary) {
  server_.verification = {Summary(0), Verified("a")};
  EXPECT_EQ(Verify().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(taken_.empty());
}

TEST_F(ClientTest, AnErrorOfTheVerificationIsTheServers) {
  server_.verification = {Verified("a"), Summary(1)};
  server_.verify_status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no namespace");
  EXPECT_EQ(Verify().status(), absl::NotFoundError("no namespace"));
}

TEST_F(ClientTest, RegisterDecoderReturnsWhatIsKnownOfIt) {
  *server_.decoder.mutable_id() = DigestOf("image");
  server_.decoder.set_name("xor");
  v1::RegisterDecoderRequest request;
  request.set_image("image");
  absl::StatusOr<v1::Decoder> decoder = client_.RegisterDecoder(request);
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  EXPECT_EQ(decoder->name(), "xor");
}

TEST_F(ClientTest, RegisterDecoderSeesThatAnotherOneWasRegistered) {
  *server_.decoder.mutable_id() = DigestOf("another");
  v1::RegisterDecoderRequest request;
  request.set_image("image");
  EXPECT_EQ(client_.RegisterDecoder(request).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientTest, GetDecoderChecksAnImageAgainstTheIdAskedFor) {
  server_.image = "image";
  v1::GetDecoderRequest request;
  request.set_include_image(true);
  *request.mutable_id() = DigestOf("image");
  absl::StatusOr<v1::GetDecoderResponse> response = client_.GetDecoder(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->image(), "image");
  server_.image = "imagf";
  EXPECT_EQ(client_.GetDecoder(request).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientTest, GetDecoderExpectsNoImageWhereNoneIsAskedFor) {
  v1::GetDecoderRequest request;
  *request.mutable_id() = DigestOf("image");
  EXPECT_TRUE(client_.GetDecoder(request).ok());
}

TEST_F(ClientTest, ListsDecodersByThePageOrAllOfThem) {
  v1::ListDecodersRequest request;
  request.set_namespace_("ns");
  request.set_page_token("1");
  absl::StatusOr<v1::ListDecodersResponse> page = client_.ListDecoders(request);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->next_page_token(), "2");
  absl::StatusOr<std::vector<v1::Decoder>> all = client_.ListAllDecoders("ns");
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[2].name(), "ns2");
}

TEST_F(ClientTest, ACallThatTheServerDoesNotKnowMeansThatItIsTooOld) {
  const absl::Status status = client_.Stat({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(std::string(status.message()).find(server_.address()), std::string::npos) << status;
}

}  // namespace
}  // namespace vxa::client
