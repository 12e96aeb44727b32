// Where translated code may lie, as the engine tells it and the jail enforces it.
#ifndef VXENGINE_CODE_RANGE_H_
#define VXENGINE_CODE_RANGE_H_

#include <cstdint>

namespace vx {

// Address space for translated code: `size` is a power of two and `begin` a multiple of it.
struct CodeRange {
  const void* begin = nullptr;
  uint64_t size = 0;  // bytes; 0: there is none

  // What is made executable at once, at most; behind the range so much lies fallow.
  static constexpr uint64_t kMostAtOnce = uint64_t{1} << 20;
};

}  // namespace vx

#endif  // VXENGINE_CODE_RANGE_H_
