// Between the API's messages and the archive's types. What comes from a client is checked here as
// far as its form goes (ranges, sizes, enumerations); what it means is the archive's to check.
#ifndef SERVER_CONVERT_H_
#define SERVER_CONVERT_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "vxa/v1/vxa.pb.h"

namespace vxa {

v1::Digest ToProto(const Digest& digest);
v1::DecodeCost ToProto(const DecodeCost& cost);
v1::View ToProto(const View& view);
v1::ObjectDecoding ToProto(const ObjectDecoding& decoding);
v1::Verification ToProto(const Verification& verification);
v1::Object ToProto(const ObjectInfo& object);
v1::WriteObjectResult ToProto(const PutResult& result);
v1::ReadObjectMetadata ToProto(const ReadHeader& header);
v1::VerifiedObject ToProto(const VerifiedVersion& version);
v1::VerifySummary ToProto(const VerifySummary& summary);
v1::Decoder ToProto(const DecoderInfo& decoder);

// These return INVALID_REQUEST, naming the field (`field`, for a digest).
absl::StatusOr<Digest> FromProto(const v1::Digest& digest, std::string_view field);
absl::StatusOr<PutSpec> FromProto(const v1::WriteObjectSpec& spec);
absl::StatusOr<ReadSpec> FromProto(const v1::ReadObjectRequest& request);
absl::StatusOr<ListSpec> FromProto(const v1::ListObjectsRequest& request);
DeleteSpec FromProto(const v1::DeleteObjectRequest& request);
absl::StatusOr<VerifySpec> FromProto(const v1::VerifyObjectsRequest& request);
// What comes out refers to `request`. DECODER_REJECTED for a profile that isn't known.
absl::StatusOr<RegisterSpec> FromProto(const v1::RegisterDecoderRequest& request);
// The page's size that was asked for, or the largest.
absl::StatusOr<uint32_t> PageSize(uint32_t asked);

}  // namespace vxa

#endif  // SERVER_CONVERT_H_
