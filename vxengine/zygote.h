// A zygote's side of worker_protocol.h: takes orders and makes workers.
#ifndef VXENGINE_ZYGOTE_H_
#define VXENGINE_ZYGOTE_H_

#include <functional>

#include "absl/status/status.h"

namespace vx {

// Takes orders from descriptor 0 until the service closes its end and the last worker has ended.
// For each it forks, and the child, with the worker's descriptors in place and no other open, calls
// `work` and ends; or, where `ready` isn't OK, it reports that in place of a worker. REQUIRES: one
// thread. An error is one of the connection to the service.
absl::Status ServeOrders(const absl::Status& ready, const std::function<void()>& work);

}  // namespace vx

#endif  // VXENGINE_ZYGOTE_H_
