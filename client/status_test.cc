#include "client/status.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"

namespace vxa::client {
namespace {

google::rpc::Status NotFound() {
  google::rpc::Status status;
  status.set_code(5);
  status.set_message("no such name");
  google::rpc::ErrorInfo info;
  info.set_reason("OBJECT_NOT_FOUND");
  info.set_domain("vxa");
  status.add_details()->PackFrom(info);
  return status;
}

TEST(FromRpcStatus, KeepsCodeMessageAndReason) {
  const absl::Status status = FromRpcStatus(NotFound());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no such name");
  EXPECT_EQ(ErrorReason(status), "OBJECT_NOT_FOUND");
}

TEST(FromRpcStatus, IsAnErrorWhateverCodeAServerSends) {
  for (int code : {0, 17, -1, 1 << 30}) {
    google::rpc::Status status;
    status.set_code(code);
    EXPECT_EQ(FromRpcStatus(status).code(), absl::StatusCode::kUnknown) << code;
  }
}

TEST(FromGrpcStatus, TakesTheDetailsWhereTheyBelongToTheCode) {
  const std::string details = NotFound().SerializeAsString();
  EXPECT_EQ(ErrorReason(FromGrpcStatus({grpc::StatusCode::NOT_FOUND, "x", details})),
            "OBJECT_NOT_FOUND");
  EXPECT_EQ(ErrorReason(FromGrpcStatus({grpc::StatusCode::INTERNAL, "x", details})), "");
  EXPECT_EQ(ErrorReason(FromGrpcStatus({grpc::StatusCode::NOT_FOUND, "x", "\xff\xff"})), "");
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

}  // namespace
}  // namespace vxa::client
