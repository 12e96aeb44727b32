// The gRPC server around an archive: its services, its limits, and its end.
#ifndef SERVER_SERVER_H_
#define SERVER_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "server/archive_service.h"
#include "server/options.h"

namespace vxa {

class Server {
 public:
  // Serves `archive`, which must outlive it, at options.listen with vxa.v1.Archive, health and
  // reflection. UNAVAILABLE if it can't listen there. `missing_layers` of the decoders' jail, as
  // DecodeService tells them, are for its status.
  static absl::StatusOr<std::unique_ptr<Server>> Start(Archive* archive,
                                                       const ServerOptions& options,
                                                       const std::string& missing_layers);

  // REQUIRES: Shutdown was called.
  ~Server() = default;

  // Where it listens, with the port it got.
  const std::string& address() const { return address_; }

  // Health says NOT_SERVING and no new call is taken.
  void StopAccepting();

  // Whether no call is left.
  bool Idle() const { return service_.Idle(); }

  // Cancels what is left and returns once it has ended. REQUIRES: StopAccepting was called.
  void Shutdown();

 private:
  Server(Archive* archive, const CallLimits& limits, v1::ServerStatus status)
      : service_(archive, limits, std::move(status)) {}

  std::string address_;
  ArchiveService service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace vxa

#endif  // SERVER_SERVER_H_
