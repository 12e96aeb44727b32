#include "vxengine/prefault.h"

#include <malloc.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace vx {
namespace {

constexpr uintptr_t kPage = 4096;
constexpr size_t kHeap = size_t{640} << 10;  // what translating and running a small decoder takes
constexpr int kLargeBlock = 4 << 20;         // smaller ones come from the heap, and stay with it

}  // namespace

void PrefaultHeap() {
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, 2 * kLargeBlock);
  void* const block = malloc(kHeap);
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + kPage - 1) & ~(kPage - 1);
  // Linux's MADV_POPULATE_WRITE is younger than some systems' headers.
  constexpr int kPopulateWrite = 23;
  if (block != nullptr) madvise(reinterpret_cast<void*>(begin), kHeap - kPage, kPopulateWrite);
  free(block);
}

}  // namespace vx
