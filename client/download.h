// One object on its way from the server: checks the messages of a ReadObject call.
#ifndef CLIENT_DOWNLOAD_H_
#define CLIENT_DOWNLOAD_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/checksum.h"
#include "client/client.h"

namespace vxa::client {

class Download {
 public:
  // Both must outlive it.
  Download(const v1::ReadObjectRequest& request, Writer& writer)
      : request_(request), writer_(writer), next_offset_(request.read_offset()) {}

  // The next message; its data goes to the writer. DATA_LOSS if it isn't what it says it is.
  absl::Status Take(const v1::ReadObjectResponse& message);

  // After the last message. DATA_LOSS if something is missing or the digest isn't right.
  absl::StatusOr<GetResult> Finish();

 private:
  absl::Status TakeData(const v1::ReadObjectData& data);
  bool SizeIsKnown() const;
  bool Whole() const;

  const v1::ReadObjectRequest& request_;
  Writer& writer_;
  uint64_t next_offset_;
  bool begun_ = false, ended_ = false;
  GetResult result_;
  Sha256 hash_;
};

}  // namespace vxa::client

#endif  // CLIENT_DOWNLOAD_H_
