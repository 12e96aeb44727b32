// A program's executable bytes, which never change.
#ifndef VXENGINE_TRANSLATOR_GUEST_TEXT_H_
#define VXENGINE_TRANSLATOR_GUEST_TEXT_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "vxengine/machine/elf_loader.h"

namespace vx {

// Whole pages of executable segments, zero where the file has nothing. Immutable.
class GuestText {
 public:
  struct Range {
    uint32_t address = 0;
    std::span<const uint8_t> bytes;
  };

  // Of what the file has nothing for, of which an image may claim 4 GiB, it takes address space
  // only. Throws std::bad_alloc.
  explicit GuestText(const Image& image) {
    std::vector<const Segment*> executable;
    for (const Segment& segment : image.segments) {
      if ((segment.permissions & Memory::kExecute) != 0) executable.push_back(&segment);
    }
    for (auto first = executable.begin(); first != executable.end();) {
      // Pages that follow each other are one range: instructions may lie across.
      auto last = first + 1;
      while (last != executable.end() && (*last)->first_page() == (*(last - 1))->end_page()) ++last;
      const uint64_t start = uint64_t{(*first)->first_page()} * Memory::kPageSize;
      const uint64_t size = uint64_t{(*(last - 1))->end_page()} * Memory::kPageSize - start;
      storage_.emplace_back(static_cast<uint8_t*>(calloc(size, 1)), free);
      uint8_t* const bytes = storage_.back().get();
      if (bytes == nullptr) throw std::bad_alloc();
      ranges_.push_back({static_cast<uint32_t>(start), {bytes, size}});
      for (; first != last; ++first) {
        std::copy((*first)->bytes.begin(), (*first)->bytes.end(),
                  bytes + ((*first)->address - start));
      }
    }
  }

  const std::vector<Range>& ranges() const { return ranges_; }

  // What can be fetched at `eip`, up to `most` bytes.
  std::span<const uint8_t> Fetch(uint32_t eip, uint32_t most) const {
    for (const Range& range : ranges_) {
      const uint32_t at = eip - range.address;
      if (at >= range.bytes.size()) continue;
      const size_t size = std::min<size_t>(most, range.bytes.size() - at);
      return range.bytes.subspan(at, size);
    }
    return {};
  }

 private:
  std::vector<std::unique_ptr<uint8_t, void (*)(void*)>> storage_;  // of the ranges
  std::vector<Range> ranges_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_GUEST_TEXT_H_
