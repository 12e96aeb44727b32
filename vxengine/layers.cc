#include "vxengine/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "vxengine/unique_fd.h"

namespace vx {
namespace {

struct Namespace {
  Layer layer;
  int flag;
};

constexpr std::array kNamespaces = {
    Namespace{kUserNamespace, CLONE_NEWUSER},  // which allows the others
    Namespace{kMountNamespace, CLONE_NEWNS},  Namespace{kNetworkNamespace, CLONE_NEWNET},
    Namespace{kIpcNamespace, CLONE_NEWIPC},   Namespace{kPidNamespace, CLONE_NEWPID},
};

constexpr std::array<const char*, 7> kNames = {
    "user namespace", "mount namespace", "PID namespace",        "network namespace",
    "IPC namespace",  "Landlock",        "speculation controls",
};

bool WriteFile(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return file.open() &&
         write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Exchanges the root of this mount namespace for an empty folder that can't be written.
bool EmptyRoot() {
  // What is mounted here is not to be seen outside.
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("empty", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") ==
             0 &&
         chdir("/tmp") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
         umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 &&
         mount(nullptr, "/", nullptr,
               MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

// Goes on in a child, which is process 1 of the PID namespace that was unshared. False if there
// can't be one.
bool BecomeInit() {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return true;
  }
  prctl(PR_SET_NAME, "vxlauncher");  // for people who look at processes
  // Its descriptors are the child's alone, whose end others see by them.
  close_range(0, ~0u, 0);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// What the kernel's header of Debian 12 doesn't have yet.
struct LandlockRuleset {
  uint64_t handled_access_fs, handled_access_net, scoped;
};

// Forbids all that this kernel's Landlock can forbid.
bool EnterLandlock() {
  constexpr int kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion);
  if (abi < 1) return false;
  // How many kinds of access to files each version knows; TCP since 4; abstract sockets and signals
  // since 6.
  constexpr std::array kFileAccess = {13, 14, 15, 15, 16};
  const int kinds = kFileAccess[std::min<size_t>(static_cast<size_t>(abi), kFileAccess.size()) - 1];
  const LandlockRuleset ruleset = {.handled_access_fs = (uint64_t{1} << kinds) - 1,
                                   .handled_access_net = abi >= 4 ? 3u : 0u,
                                   .scoped = abi >= 6 ? 3u : 0u};
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const UniqueFd fd(static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, size, 0)));
  return fd.open() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_landlock_restrict_self, fd.get(), 0) == 0;
}

// Since Linux 5.16 a filter of system calls doesn't do so by itself.
bool ControlSpeculation() {
  bool controlled = true;
  for (const unsigned long what : {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH}) {
    // It may refuse because there is nothing to control: what counts is how it is then.
    prctl(PR_SET_SPECULATION_CTRL, what, PR_SPEC_FORCE_DISABLE, 0, 0);
    const int state = prctl(PR_GET_SPECULATION_CTRL, what, 0, 0, 0);
    controlled &= state >= 0 && (state & PR_SPEC_ENABLE) == 0;
  }
  return controlled;
}

}  // namespace

uint32_t EnterLayers(uint32_t wanted) {
  const std::string identity = absl::StrCat("65534 ", geteuid(), " 1");
  uint32_t entered = 0;
  for (const Namespace& space : kNamespaces) {
    if ((wanted & space.layer) == 0 || unshare(space.flag) != 0) continue;
    entered |= space.layer;
    // Nobody, to whom nothing belongs.
    if (space.layer == kUserNamespace) WriteFile("/proc/self/uid_map", identity);
  }
  if ((entered & kPidNamespace) != 0 && !BecomeInit()) entered &= ~kPidNamespace;
  if ((entered & kMountNamespace) != 0 && !EmptyRoot()) entered &= ~kMountNamespace;
  if ((wanted & kLandlock) != 0 && EnterLandlock()) entered |= kLandlock;
  if ((wanted & kSpeculationControls) != 0 && ControlSpeculation()) {
    entered |= kSpeculationControls;
  }
  return entered;
}

std::string LayerNames(uint32_t layers) {
  std::string names;
  for (size_t n = 0; n < kNames.size(); ++n) {
    if ((layers >> n & 1) == 0) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", kNames[n]);
  }
  return names;
}

}  // namespace vx
