// The server program.
#include <grpc/support/log.h>
#include <signal.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "archive/archive.h"
#include "archive/log.h"
#include "server/offline.h"
#include "server/options.h"
#include "server/server.h"
#include "vxengine/decode_service.h"

namespace vxa {
namespace {

constexpr int kFailed = 1;

// gRPC tells of each failed bind and broken connection in lines of its own; the errors that concern
// us come as statuses.
void DropGrpcLog(gpr_log_func_args*) {}

sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // All threads made from here on inherit it, so the signals are sigwait's alone.
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Whether one of `signals` came within 20 ms.
bool SignalSoon(const sigset_t& signals) {
  const timespec wait = {.tv_sec = 0, .tv_nsec = 20'000'000};
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

void ServeUntilSignal(Server* server, const sigset_t& signals, absl::Duration grace) {
  int signal = 0;
  sigwait(&signals, &signal);
  Log(LogLevel::kInfo, absl::StrCat("signal ", signal, ": stopping"));
  server->StopAccepting();
  const absl::Time last = absl::Now() + grace;
  while (!server->Idle() && absl::Now() < last && !SignalSoon(signals)) {
  }
  server->Shutdown();
}

absl::Status Serve(const ServerOptions& options) {
  const sigset_t signals = BlockEndSignals();
  absl::StatusOr<std::string> worker =
      options.worker.empty() ? vx::FindWorker() : absl::StatusOr<std::string>(options.worker);
  if (!worker.ok()) return worker.status();
  absl::StatusOr<std::unique_ptr<vx::WorkerDecodeService>> decoder =
      vx::NewWorkerDecodeService(*worker, {.require_all_layers = options.require_jail});
  if (!decoder.ok()) return decoder.status();
  const absl::StatusOr<std::string> missing = (*decoder)->MissingLayers();
  if (!missing.ok()) return missing.status();
  if (!missing->empty()) {
    Log(LogLevel::kWarning,
        absl::StrCat("decoders run without what this system doesn't grant: ", *missing));
  }
  absl::StatusOr<std::unique_ptr<Archive>> archive = Archive::Open({.directory = options.data,
                                                                    .decoder = decoder->get(),
                                                                    .pack_size = options.pack_size,
                                                                    .decodes = options.decodes});
  if (!archive.ok()) return archive.status();
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(archive->get(), options, *missing);
  if (!server.ok()) return server.status();
  std::printf("listening on %s\n", (*server)->address().c_str());
  std::fflush(stdout);
  ServeUntilSignal(server->get(), signals, options.grace);
  return absl::OkStatus();
}

int Run(const ServerOptions& options) {
  if (absl::Status status = Serve(options); !status.ok()) {
    std::fprintf(stderr, "vxad: %s\n", std::string(status.message()).c_str());
    return kFailed;
  }
  return 0;
}

int Main(int argc, char** argv) {
  if (getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function(DropGrpcLog);
  Command command;
  Exit exit;
  if (!ParseOptions(argc, argv, &command, &exit)) {
    std::fputs(exit.text.c_str(), exit.status == 0 ? stdout : stderr);
    return exit.status;
  }
  return std::visit([](const auto& options) { return Run(options); }, command);
}

}  // namespace
}  // namespace vxa

int main(int argc, char** argv) { return vxa::Main(argc, argv); }
