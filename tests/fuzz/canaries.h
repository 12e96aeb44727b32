// Traps around a guest in the process that runs it, exclusive, for whatever goes past the engine:
//
// - Host memory beyond its 4 GiB, as far as an address can be off, can't be accessed, so that going
//   there is a fault which the engine doesn't take for the guest's.
// - The thread can make system calls only from code that was there when this was made, so never
//   from translated code, or a guest's. One from elsewhere ends the process with a "FOUND:".
// - The rest is looked at after a run.
#ifndef TESTS_FUZZ_CANARIES_H_
#define TESTS_FUZZ_CANARIES_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/fuzz/host_state.h"

namespace vxa::fuzz {

class Canaries {
 public:
  // REQUIRES: host addresses up to 64 GiB are free. For good, as far as the thread is
  // concerned. The folder goes with the process.
  Canaries();
  Canaries(const Canaries&) = delete;
  Canaries& operator=(const Canaries&) = delete;

  // The state that is to be found again.
  void Set();

  // What has changed since, for people; empty if nothing: pages with a pattern among those that are
  // mapped last, a descriptor's place and bytes, which files are open (fewer may be), a
  // folder and a file in it, MXCSR, x87's control word, DF, AC, the FS and GS base.
  std::string Changes() const;

  const std::string& folder() const { return folder_; }
  uint8_t* pages() const { return pages_; }
  int descriptor() const { return descriptor_; }

 private:
  std::string folder_;
  uint8_t* pages_;
  int descriptor_;
  struct ThreadState {
    HostState registers;
    uint64_t fs = 0, gs = 0;
    bool operator==(const ThreadState&) const = default;
  };
  static ThreadState CurrentThreadState();
  std::vector<uint64_t> FolderState() const;

  ThreadState thread_;
  std::vector<bool> open_;
  std::vector<uint64_t> folder_state_;
};

}  // namespace vxa::fuzz

#endif  // TESTS_FUZZ_CANARIES_H_
