// A vxad process for a test, on a directory of its own and a port that the system chose.
#ifndef TESTS_SERVER_PROCESS_H_
#define TESTS_SERVER_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace vxa {

class ServerProcess {
 public:
  // Returns once it serves; ends the test program if it doesn't. `options` are added to vxad's.
  explicit ServerProcess(std::vector<std::string> options = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }

  // SIGKILL, and waits for its end.
  void Kill();

 private:
  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace vxa

#endif  // TESTS_SERVER_PROCESS_H_
