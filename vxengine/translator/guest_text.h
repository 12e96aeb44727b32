// A program's executable bytes, which never change.
#ifndef VXENGINE_TRANSLATOR_GUEST_TEXT_H_
#define VXENGINE_TRANSLATOR_GUEST_TEXT_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vxengine/machine/elf_loader.h"

namespace vx {

// Whole pages of executable segments, zero where the file has nothing. Immutable.
class GuestText {
 public:
  struct Range {
    uint32_t address = 0;
    std::vector<uint8_t> bytes;
  };

  explicit GuestText(const Image& image) {
    for (const Segment& segment : image.segments) {
      if ((segment.permissions & Memory::kExecute) == 0) continue;
      const uint32_t start = segment.first_page() * Memory::kPageSize;
      const uint32_t size = (segment.end_page() - segment.first_page()) * Memory::kPageSize;
      // Pages that follow each other are one range: instructions may lie across.
      if (ranges_.empty() || ranges_.back().address + ranges_.back().bytes.size() != start) {
        ranges_.push_back({start, {}});
      }
      std::vector<uint8_t>& bytes = ranges_.back().bytes;
      const size_t before = bytes.size();
      bytes.resize(before + size);
      std::copy(segment.bytes.begin(), segment.bytes.end(),
                bytes.begin() + static_cast<ptrdiff_t>(before + (segment.address - start)));
    }
  }

  const std::vector<Range>& ranges() const { return ranges_; }

  // What can be fetched at `eip`, up to `most` bytes.
  std::span<const uint8_t> Fetch(uint32_t eip, uint32_t most) const {
    for (const Range& range : ranges_) {
      const uint32_t at = eip - range.address;
      if (at >= range.bytes.size()) continue;
      const size_t size = std::min<size_t>(most, range.bytes.size() - at);
      return std::span(range.bytes).subspan(at, size);
    }
    return {};
  }

 private:
  std::vector<Range> ranges_;
};

}  // namespace vx

#endif  // VXENGINE_TRANSLATOR_GUEST_TEXT_H_
