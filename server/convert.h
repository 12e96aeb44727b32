// Between the API's messages and the archive's types. What comes from a client is checked here as
// far as its form goes (ranges, sizes, enumerations); what it means is the archive's to check.
#ifndef SERVER_CONVERT_H_
#define SERVER_CONVERT_H_

#include <vector>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa {

v1::Digest ToProto(const Digest& digest);
v1::DecodeCost ToProto(const DecodeCost& cost);
v1::View ToProto(const View& view);
v1::Object ToProto(const ObjectInfo& object);
v1::WriteObjectResult ToProto(const PutResult& result);
v1::ReadObjectMetadata ToProto(const ReadHeader& header);

// These return INVALID_REQUEST, naming the field.
absl::StatusOr<Digest> FromProto(const v1::Digest& digest);
absl::StatusOr<PutSpec> FromProto(const v1::WriteObjectSpec& spec);
absl::StatusOr<ReadSpec> FromProto(const v1::ReadObjectRequest& request);
absl::StatusOr<ListSpec> FromProto(const v1::ListObjectsRequest& request);
DeleteSpec FromProto(const v1::DeleteObjectRequest& request);

}  // namespace vxa

#endif  // SERVER_CONVERT_H_
