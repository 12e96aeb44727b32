#include "server/server.h"

#include <google/protobuf/util/time_util.h>
#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <chrono>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace vxa {
namespace {

constexpr int kMaxMessageBytes = 3 << 20;      // 2 MiB of data and its frame
constexpr int kMaxHeaderBytes = 8 << 10;       // gRPC's own default
constexpr int kWindowBytes = 256 << 10;        // of one stream, fixed: HTTP/2 flow control
constexpr size_t kTransportBytes = 96u << 20;  // of all connections' buffers
constexpr int kShortCalls = 16;
constexpr int kOtherThreads = 24;  // health, reflection, pollers
constexpr int kMinute = 60'000;    // ms

void SetLimits(const ServerOptions& options, grpc::ServerBuilder* builder) {
  grpc::ResourceQuota quota("vxad");
  quota.Resize(kTransportBytes);
  quota.SetMaxThreads(options.max_streams + kShortCalls + kOtherThreads);
  builder->SetResourceQuota(quota);
  builder->SetMaxReceiveMessageSize(kMaxMessageBytes);
  const std::pair<const char*, int> arguments[] = {
      {GRPC_ARG_ALLOW_REUSEPORT, 0},  // else a second server could share the port
      {GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes},
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams + kShortCalls},
      {GRPC_ARG_HTTP2_BDP_PROBE, 0},  // it would grow the windows
      {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes},
      {GRPC_ARG_KEEPALIVE_TIME_MS, kMinute},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kMinute / 3},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinute / 6},
  };
  for (const auto& [name, value] : arguments) builder->AddChannelArgument(name, value);
  builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
}

// But for the load.
v1::ServerStatus StatusOf(const ServerOptions& options, const std::string& missing_layers) {
  using google::protobuf::util::TimeUtil;
  const auto duration = [](absl::Duration value) {
    return TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(value));
  };
  v1::ServerStatus status;
  status.set_version(kVersion);
  *status.mutable_start_time() = TimeUtil::GetCurrentTime();
  status.set_missing_jail_layers(missing_layers);
  v1::ServerLimits& limits = *status.mutable_limits();
  limits.set_streams(static_cast<uint32_t>(options.max_streams));
  limits.set_client_streams(static_cast<uint32_t>(options.client_streams));
  limits.set_decodes(static_cast<uint32_t>(options.decodes.concurrent));
  limits.set_decode_queue(static_cast<uint32_t>(options.decodes.queue));
  limits.set_decode_memory(options.decodes.memory);
  limits.set_decode_output(options.decodes.output);
  limits.set_decode_diagnostics(options.decodes.diagnostics);
  *limits.mutable_decode_cpu_time() = duration(options.decodes.cpu_time);
  *limits.mutable_decode_stall() = duration(options.decodes.stalled);
  return status;
}

// `listen` with the port that was got in place of the one asked for.
std::string BoundAddress(const std::string& listen, int port) {
  if (listen.rfind("unix:", 0) == 0) return listen;
  return absl::StrCat(listen.substr(0, listen.rfind(':') + 1), port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(Archive* archive,
                                                      const ServerOptions& options,
                                                      const std::string& missing_layers) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  const CallLimits limits = {.streams = static_cast<size_t>(options.max_streams),
                             .client_streams = static_cast<size_t>(options.client_streams),
                             .others = kShortCalls};
  std::unique_ptr<Server> server(new Server(archive, limits, StatusOf(options, missing_layers)));
  grpc::ServerBuilder builder;
  SetLimits(options, &builder);
  builder.RegisterService(&server->service_);
  int port = 0;
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "can't listen on ", options.listen, ": it is in use, or not an address of this machine"));
  }
  // The server as a whole (the empty name) is told of by gRPC itself.
  server->server_->GetHealthCheckService()->SetServingStatus("vxa.v1.Archive", true);
  server->address_ = BoundAddress(options.listen, port);
  return server;
}

void Server::StopAccepting() {
  server_->GetHealthCheckService()->SetServingStatus(false);
  service_.Close();
}

void Server::Shutdown() {
  service_.CancelAll();
  // What is left now are streams of the health service and answers on their way.
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  server_->Wait();
}

}  // namespace vxa
