// Decoding in a process of its own: what the archive asks whenever bytes have to go through a
// decoder.
//
// Each decode runs in a worker, a process that has been locked down before it sees the first
// encoded byte: encoded bytes come in through one pipe, decoded bytes leave through another, and
// nothing else is open. It is killed (by pidfd) when the caller cancels, the deadline passes, or
// the output grows past its limit. Workers are forked off a zygote, a process that has their
// decoder loaded and translated, and never runs it.
#ifndef VXENGINE_DECODE_SERVICE_H_
#define VXENGINE_DECODE_SERVICE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vxengine/vx.h"

namespace vx {

// Where a decode's encoded bytes come from. Called on the thread that called Decode.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; empty at the end. An error ends the decode with that
  // status.
  virtual absl::StatusOr<std::string_view> Next() = 0;
};

// Where decoded bytes go. Called on the thread that called Decode; blocking throttles the decoder.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `bytes` (never empty). An error ends the decode with that status.
  virtual absl::Status Append(std::string_view bytes) = 0;
};

// Lets decodes of the same decoder use the same worker, one after the other: for one stream of one
// principal's, such as the chunks of an object that is read. The decoder starts each time with its
// memory and registers as at the first. Workers that wait for another decode end with it.
// Thread-safe.
class DecodeSession {
 public:
  virtual ~DecodeSession() = default;
};

struct DecodeRequest {
  std::string_view decoder;  // ELF bytes; must outlive the call
  std::vector<std::string> arguments;
  Profile profile = Profile::kVx2026;
  Limits limits;
  bool count_instructions = false;  // though there is no limit to them: see vx::Options
  absl::Time deadline = absl::InfiniteFuture();  // DEADLINE_EXCEEDED after it
  // May be empty; asked every 20 ms or so, CANCELLED once it says true.
  std::function<bool()> cancelled;
  // Both or none. The first is asked as often: when it says true, the decoder stands still while
  // the second runs, whose error ends the decode.
  std::function<bool()> has_to_pause;
  std::function<absl::Status()> pause;
  // How long a decoder may take no input and give no output while neither source nor sink is at
  // work, nor `pause`: RESOURCE_EXHAUSTED.
  absl::Duration stall_limit = absl::InfiniteDuration();
  DecodeSession* session = nullptr;  // of the same service, or none; outlives the call
};

// How a decode went. Whatever the outcome, the caller decides by length and digest what the bytes
// are worth.
struct DecodeResult {
  Outcome outcome;
  std::string description;  // Describe(outcome, program): names the trap, limit or exit status
  std::string
      diagnostics;  // what the guest wrote to descriptor 2, VX_DIAGNOSTICS_KEPT bytes at most
  absl::Duration wall_time;
};

class DecodeService {
 public:
  virtual ~DecodeService() = default;

  // Runs one decode. OK with a DecodeResult whenever the guest ran to an end of its own, good or
  // bad (exit, trap, limit). Else: the source's or sink's error; INVALID_ARGUMENT for an image that
  // is refused; RESOURCE_EXHAUSTED if it doesn't fit into its memory limit, the host has too
  // little memory for it, or it stalls; CANCELLED; DEADLINE_EXCEEDED; INTERNAL if the worker itself
  // died (the signal is named, and what it cost) or didn't keep to the rules; UNAVAILABLE if it
  // could not be started or locked down. By the time it returns the worker is gone, or waits in the
  // request's session. Thread-safe.
  virtual absl::StatusOr<DecodeResult> Decode(const DecodeRequest& request, ByteSource& source,
                                              ByteSink& sink) = 0;

  // Null where decodes have no workers that could be kept. Ends before the service.
  virtual std::unique_ptr<DecodeSession> NewSession() { return nullptr; }
};

class WorkerDecodeService : public DecodeService {
 public:
  // Starts a process to see which layers of the jail the system doesn't grant: for people, empty if
  // it grants all. UNAVAILABLE if they can't be started, or lack a layer that is required.
  virtual absl::StatusOr<std::string> MissingLayers() = 0;
};

// Some layers of the jail (layers.h) are not to be had on every system.
struct JailOptions {
  bool try_layers = true;           // false: as on a system that has none, for tests
  bool require_all_layers = false;  // or no decode
};

// Runs decodes in processes of the `vxworker` binary at `worker_path`. NOT_FOUND if it isn't there
// or can't be executed. They die with the calling process, however it ends.
// REQUIRES: SIGCHLD isn't ignored, nobody waits for children at large, and no Decode is running
// when the service is destroyed.
absl::StatusOr<std::unique_ptr<WorkerDecodeService>> NewWorkerDecodeService(std::string worker_path,
                                                                            JailOptions jail = {});

// The path of the vxworker that belongs to the running program: beside it, in ../vxengine beside
// its folder (Bazel's layout), or in the runfiles of a test. NOT_FOUND names the places tried.
absl::StatusOr<std::string> FindWorker();

}  // namespace vx

#endif  // VXENGINE_DECODE_SERVICE_H_
