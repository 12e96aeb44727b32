#include "vxengine/note_text.h"

#include <algorithm>
#include <cstdint>

namespace vx {
namespace {

constexpr size_t kHeaderSize = 52, kPhdrSize = 32, kPhoff = 28, kPhnum = 44;
constexpr uint32_t kPtNote = 4, kNoteType = 1;
constexpr std::string_view kNoteName("VXA\0", 4);
// Program headers and notes that are looked at: headers may be many, and all of the same notes.
constexpr size_t kMaxSteps = 1000;

uint32_t Le32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// With a newline behind the last one; without those for which there is no room.
void AppendLines(std::string_view lines, std::string* text) {
  const size_t room = kMaxNoteText - text->size();
  if (lines.size() >= room) lines = lines.substr(0, lines.substr(0, room).rfind('\n') + 1);
  *text += lines;
  if (!lines.empty() && !lines.ends_with('\n')) *text += '\n';
}

}  // namespace

std::string NoteText(std::string_view elf) {
  std::string text;
  if (elf.size() < kHeaderSize) return text;
  const uint64_t phoff = Le32(elf, kPhoff), count = Le32(elf, kPhnum) & 0xffff;
  size_t steps = 0;
  for (uint64_t i = 0; i < count && phoff + (i + 1) * kPhdrSize <= elf.size(); ++i) {
    if (++steps > kMaxSteps) return text;
    const size_t header = phoff + i * kPhdrSize;
    if (Le32(elf, header) != kPtNote) continue;
    const size_t offset = Le32(elf, header + 4), size = Le32(elf, header + 16);
    if (offset > elf.size()) continue;
    std::string_view notes = elf.substr(offset, size);
    while (notes.size() >= 12) {
      if (++steps > kMaxSteps) return text;
      const uint64_t name_size = Le32(notes, 0), text_size = Le32(notes, 4);
      const uint64_t text_at = 12 + (name_size + 3) / 4 * 4;
      const uint64_t end = text_at + (text_size + 3) / 4 * 4;
      if (text_at + text_size > notes.size()) break;
      if (notes.substr(12, name_size) == kNoteName && Le32(notes, 8) == kNoteType) {
        AppendLines(notes.substr(text_at, text_size), &text);
      }
      notes.remove_prefix(std::min<uint64_t>(end, notes.size()));
    }
  }
  return text;
}

}  // namespace vx
