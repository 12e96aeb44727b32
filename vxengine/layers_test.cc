#include "vxengine/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace vx {
namespace {

// What `look` returns in a process that is in as many layers of `wanted` as there are; `entered` of
// them.
int Look(uint32_t wanted, const std::function<int()>& look, uint32_t* entered) {
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const uint32_t layers = EnterLayers(wanted);
    if (write(fds[1], &layers, sizeof layers) != sizeof layers) _exit(99);
    _exit(look());
  }
  close(fds[1]);
  EXPECT_EQ(read(fds[0], entered, sizeof *entered), static_cast<ssize_t>(sizeof *entered));
  close(fds[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

struct View {
  Layer layer;
  // 0 where the layer isn't to be seen.
  std::function<int()> look;
};

bool CanOpen(const char* path) { return open(path, O_RDONLY) >= 0; }

TEST(Layers, HideWhatTheyAreFor) {
  const View views[] = {
      {kUserNamespace, [] { return getuid() == 65534 ? 1 : 0; }},
      {kMountNamespace, [] { return !CanOpen("/etc/passwd") && errno == ENOENT ? 1 : 0; }},
      {kPidNamespace, [] { return getpid() == 1 ? 1 : 0; }},
      {kNetworkNamespace,
       [] {
         ifreq request = {.ifr_ifrn = {.ifrn_name = "lo"}, .ifr_ifru = {}};
         const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
         return ioctl(socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) == 0 ? 1
                                                                                                : 0;
       }},
      {kLandlock, [] { return !CanOpen("/etc/passwd") && errno == EACCES ? 1 : 0; }},
  };
  for (const View& view : views) {
    uint32_t entered = 0;
    EXPECT_EQ(Look(0, view.look, &entered), 0) << LayerNames(view.layer);
    EXPECT_EQ(entered, 0u);
    // Namespaces but that of users may need it.
    const uint32_t wanted = view.layer == kLandlock ? kLandlock : view.layer | kUserNamespace;
    const int seen = Look(wanted, view.look, &entered);
    EXPECT_EQ(seen, (entered & view.layer) != 0 ? 1 : 0) << LayerNames(view.layer);
    EXPECT_EQ(entered & ~wanted, 0u);
  }
}

TEST(Layers, LeaveNoFile) {
  uint32_t entered = 0;
  const int seen = Look(
      kAllLayers,
      [] {
        for (const char* path : {"/", "/etc/passwd", "/proc/self/status", "/tmp", "."}) {
          if (CanOpen(path)) return 1;
        }
        return open("/x", O_WRONLY | O_CREAT, 0600) >= 0 ? 2 : 0;
      },
      &entered);
  // Where there is neither of the two, the first file is there to be opened.
  EXPECT_EQ(seen, (entered & (kMountNamespace | kLandlock)) != 0 ? 0 : 1);
}

int SpeculationState(unsigned long kind) { return prctl(PR_GET_SPECULATION_CTRL, kind, 0, 0, 0) & 0xff; }

TEST(Layers, ControlSpeculationForGood) {
  bool is_controlled = true;
  uint32_t entered = 0;
  for (const unsigned long kind : {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH}) {
    const int before = SpeculationState(kind);
    // In a process that was forked off, and wants it back.
    const int after = Look(
        kSpeculationControls,
        [kind] {
          uint32_t none = 0;
          return Look(
              0,
              [kind] {
                prctl(PR_SET_SPECULATION_CTRL, kind, PR_SPEC_ENABLE, 0, 0);
                return SpeculationState(kind);
              },
              &none);
        },
        &entered);
    constexpr int kControlled = PR_SPEC_PRCTL | PR_SPEC_FORCE_DISABLE;
    EXPECT_EQ(after, (before & PR_SPEC_PRCTL) != 0 ? kControlled : before) << kind;
    is_controlled &= (after & PR_SPEC_ENABLE) == 0;
  }
  EXPECT_EQ(entered, is_controlled ? kSpeculationControls : 0u);
}

TEST(Layers, EndWithTheProcessThatWasCalled) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    EnterLayers(kAllLayers);
    if (write(fds[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(fds[1]);
  char byte;
  ASSERT_EQ(read(fds[0], &byte, 1), 1);
  kill(child, SIGKILL);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(read(fds[0], &byte, 1), 0) << "the pipe closes with the last process";
  close(fds[0]);
}

TEST(Layers, PassAnExitStatusOn) {
  uint32_t entered = 0;
  EXPECT_EQ(Look(
                kAllLayers, [] { return 42; }, &entered),
            42);
}

TEST(LayerNames, AreForPeople) {
  EXPECT_EQ(LayerNames(0), "");
  EXPECT_EQ(LayerNames(kUserNamespace | kLandlock), "user namespace, Landlock");
  EXPECT_EQ(LayerNames(kSpeculationControls), "speculation controls");
}

}  // namespace
}  // namespace vx
