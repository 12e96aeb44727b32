// A client of a VXA server.
//
//   vxa::client::Client client({.server = "127.0.0.1:7420"});
//   vxa::client::FileReader file(path);
//   absl::StatusOr<v1::WriteObjectResult> put = client.Put(spec, file);
//
// Requests and answers are the API's own messages (proto/vxa/v1/vxa.proto). Objects are streamed,
// never held whole, and both ways checked here too: the CRC-32C of every message, the size, and the
// SHA-256 of the whole; so are decoders. Errors are the server's (see client/status.h for their
// reason), those of the reader or writer given, or the client's own: UNAVAILABLE where there is no
// server, DATA_LOSS where what came isn't what it should be.
#ifndef CLIENT_CLIENT_H_
#define CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vxa/v1/vxa.grpc.pb.h"

namespace vxa::client {

// Where an object's bytes come from.
class Reader {
 public:
  virtual ~Reader() = default;
  // The next bytes, at most 2 MiB, valid until the next call; empty at the end.
  virtual absl::StatusOr<std::string_view> Next() = 0;
};

// Where an object's bytes go. What was given to it is good only once Get has returned OK.
class Writer {
 public:
  virtual ~Writer() = default;
  // Called once, first.
  virtual absl::Status Begin(const v1::ReadObjectMetadata& metadata) = 0;
  virtual absl::Status Append(std::string_view bytes) = 0;
};

struct Options {
  std::string server = "127.0.0.1:7420";              // HOST:PORT, [V6]:PORT or unix:PATH
  absl::Duration timeout = absl::InfiniteDuration();  // of each call
};

struct GetResult {
  v1::ReadObjectMetadata metadata;
  v1::ReadObjectEnd end;
  uint64_t bytes = 0;  // given to the writer
  // Every byte was checked against a digest kept since the put: by the server, or, where the whole
  // came, by this client too.
  bool verified = false;
};

// Thread-safe.
class Client {
 public:
  explicit Client(Options options);

  // Stores what `reader` gives. Returns once the server has proved it and has it on disk.
  absl::StatusOr<v1::WriteObjectResult> Put(const v1::WriteObjectSpec& spec, Reader& reader);

  // Gives what `request` asks for to `writer`.
  absl::StatusOr<GetResult> Get(const v1::ReadObjectRequest& request, Writer& writer);

  absl::StatusOr<v1::Object> Stat(const v1::GetObjectRequest& request);

  // One page.
  absl::StatusOr<v1::ListObjectsResponse> List(const v1::ListObjectsRequest& request);

  absl::StatusOr<v1::DeleteObjectResponse> Remove(const v1::DeleteObjectRequest& request);

  // Given each message of a verification but the summary, in the order in which they come. An error
  // of its own ends the call.
  using VerifyCallback = std::function<absl::Status(const v1::VerifyObjectsResponse&)>;

  // Has objects reproduced from what is stored. Damage is an answer, in the messages and in the
  // summary; an error says that the verification didn't come to its end.
  absl::StatusOr<v1::VerifySummary> Verify(const v1::VerifyObjectsRequest& request,
                                           const VerifyCallback& take);

  absl::StatusOr<v1::ServerStatus> Status();

  // Checks that the answer is about the image that was sent.
  absl::StatusOr<v1::Decoder> RegisterDecoder(const v1::RegisterDecoderRequest& request);

  // Checks that an image, where one is asked for, has the digest that is its id.
  absl::StatusOr<v1::GetDecoderResponse> GetDecoder(const v1::GetDecoderRequest& request);

  // One page.
  absl::StatusOr<v1::ListDecodersResponse> ListDecoders(const v1::ListDecodersRequest& request);

  // All pages.
  absl::StatusOr<std::vector<v1::Decoder>> ListAllDecoders(const std::string& ns);

 private:
  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Archive::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                                const Request& request);
  void Prepare(grpc::ClientContext* context) const;
  absl::Status Explain(const grpc::Status& status) const;

  const Options options_;
  std::unique_ptr<v1::Archive::Stub> stub_;
};

}  // namespace vxa::client

#endif  // CLIENT_CLIENT_H_
