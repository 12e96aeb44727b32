// Where `get`, `view` and `cat` put an object's bytes.
#ifndef CLIENT_OUTPUTS_H_
#define CLIENT_OUTPUTS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/client.h"

namespace vxa::client {

// Writes to a descriptor that stays the caller's: standard output, a pipe, a device.
class FdWriter : public Writer {
 public:
  FdWriter(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  absl::Status Begin(const v1::ReadObjectMetadata&) override { return absl::OkStatus(); }
  absl::Status Append(std::string_view bytes) override;

 private:
  const int fd_;
  const std::string name_;
};

// Writes a temporary file beside the target and renames it once all is known to be right: there is
// never a part of an object under the target's name. The temporary file is removed when this is
// destroyed, and by signals that end the program (see RemoveTemporaryOnSignal). At most one at a
// time in a program.
class FileWriter : public Writer {
 public:
  // Gives the target's path once the server has said what comes.
  using Target = std::function<absl::StatusOr<std::string>(const v1::ReadObjectMetadata&)>;

  // `force`: may replace a file. Progress is called with bytes written and bytes to come.
  FileWriter(Target target, bool force) : target_(std::move(target)), force_(force) {}
  ~FileWriter() override;

  void OnProgress(std::function<void(uint64_t done, uint64_t size)> progress) {
    progress_ = std::move(progress);
  }

  // ALREADY_EXISTS if the target is there and may not be replaced.
  absl::Status Begin(const v1::ReadObjectMetadata& metadata) override;
  absl::Status Append(std::string_view bytes) override;

  // Makes it durable and gives it its name. REQUIRES: Get has returned OK.
  absl::Status Commit();

  const std::string& path() const { return path_; }

 private:
  absl::Status MakeTemporary();

  const Target target_;
  const bool force_;
  std::function<void(uint64_t, uint64_t)> progress_;
  std::string path_;
  std::string temporary_;  // empty: there is none
  int fd_ = -1;
  bool direct_ = false;  // the target is a device or a pipe: nothing to rename
  uint64_t done_ = 0, size_ = 0;
};

// From now on SIGINT, SIGTERM and SIGHUP remove a FileWriter's temporary file before they end the
// program. Called once, before other threads are made.
void RemoveTemporaryOnSignal();

}  // namespace vxa::client

#endif  // CLIENT_OUTPUTS_H_
