// What a guest program says of itself, in the notes of its ELF file (decoders/README.md).
#ifndef VXENGINE_NOTE_TEXT_H_
#define VXENGINE_NOTE_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace vx {

// Bytes of notes that are read; what goes on behind them is left out.
inline constexpr size_t kMaxNoteText = size_t{16} << 10;

// The notes "VXA" of type 1 of an ELF32 file, one after another, as far as they are well-formed:
// whole lines, each with its newline, of any bytes. `elf` may be anything. What it takes is bounded
// whatever is in there.
std::string NoteText(std::string_view elf);

}  // namespace vx

#endif  // VXENGINE_NOTE_TEXT_H_
