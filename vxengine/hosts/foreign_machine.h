// The portable machine on another host, for tests: a vxmachine (vxmachine.cc) in a process of its
// own, under an emulator where this machine's CPU can't run it.
#ifndef VXENGINE_HOSTS_FOREIGN_MACHINE_H_
#define VXENGINE_HOSTS_FOREIGN_MACHINE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "vxengine/hosts/machine_protocol.h"

namespace vx {

// Not thread-safe.
class ForeignMachine {
 public:
  // Starts a vxmachine: `command` is a program, looked for in PATH, and its arguments.
  static absl::StatusOr<std::unique_ptr<ForeignMachine>> Start(std::vector<std::string> command);
  ~ForeignMachine();

  // Runs a guest. An error if the process fails: then it can't be used again.
  absl::StatusOr<MachineReply> Run(const MachineRequest& request);

 private:
  ForeignMachine(int pid, int requests, int replies)
      : pid_(pid), requests_(requests), replies_(replies) {}
  absl::Status Write(std::string_view bytes);
  absl::Status Read(std::string* bytes);

  const int pid_;
  const int requests_, replies_;  // ends of pipes
};

}  // namespace vx

#endif  // VXENGINE_HOSTS_FOREIGN_MACHINE_H_
