// Layers of the jail that not every kernel or container grants: namespaces, and Landlock. A process
// that has them has nothing left to look at: no file, no network, no other process. And what a CPU
// is told not to speculate about.
//
// unshare(2), pid_namespaces(7), user_namespaces(7), pivot_root(2); landlock(7);
// PR_SET_SPECULATION_CTRL in prctl(2).
#ifndef VXENGINE_LAYERS_H_
#define VXENGINE_LAYERS_H_

#include <cstdint>
#include <string>

namespace vx {

enum Layer : uint32_t {
  kUserNamespace = 1 << 0,
  kMountNamespace = 1 << 1,  // with an empty root
  kPidNamespace = 1 << 2,
  kNetworkNamespace = 1 << 3,
  kIpcNamespace = 1 << 4,
  kLandlock = 1 << 5,
  // Loads don't overtake stores to addresses not known yet, and indirect branches aren't predicted
  // by what other processes did; for good, for those forked off too. A process is in it as well
  // where the CPU needs nothing of the kind, or the kernel does it for all.
  kSpeculationControls = 1 << 6,
};
inline constexpr uint32_t kAllLayers = (1 << 7) - 1;

// Puts this process in as many of the layers `wanted` as it may have. Where it gets a PID
// namespace, it goes on as process 1 of that in a child, which is killed with the process that was
// called, and the other way round. Returns the layers that it is in. To be called while there is
// one thread; descriptors stay open.
uint32_t EnterLayers(uint32_t wanted);

// "user namespace, Landlock"
std::string LayerNames(uint32_t layers);

}  // namespace vx

#endif  // VXENGINE_LAYERS_H_
