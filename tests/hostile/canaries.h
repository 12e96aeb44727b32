// What a guest must leave alone in the process that runs it, or that serves it: memory beside the
// guest's, descriptors, files, environment, signals, the thread's processor state.
#ifndef TESTS_HOSTILE_CANARIES_H_
#define TESTS_HOSTILE_CANARIES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vx::hostile {

class Canaries {
 public:
  // To be made when the process is as it will stay: handlers installed, and, unless its open
  // descriptors are nobody's concern, those too.
  enum class Descriptors { kStay, kMayChange };
  explicit Canaries(Descriptors descriptors);
  ~Canaries();
  Canaries(const Canaries&) = delete;

  // Pages full of canaries at a fixed address; or, where a guest may lie anywhere, around the one
  // place where it then fits.
  void GuardMemoryAt(uintptr_t address);
  void GuardMemoryAround(uint64_t size);
  // Whether something else lies between the last two pages guarded.
  bool IsTaken() const;

  // What isn't as it was, or "".
  std::string Damage() const;
  // The same of what takes longer to look at.
  std::string DamageOfFiles() const;

 private:
  std::vector<std::string> StateOfProcess() const;

  const Descriptors descriptors_;
  std::vector<unsigned char*> pages_;
  std::filesystem::path folder_;
  int file_ = -1;
  int pipe_[2] = {-1, -1};
  std::vector<std::string> state_;
};

}  // namespace vx::hostile

#endif  // TESTS_HOSTILE_CANARIES_H_
