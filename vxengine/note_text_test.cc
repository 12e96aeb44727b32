#include "vxengine/note_text.h"

#include <gtest/gtest.h>

#include "vxengine/testing/elf_builder.h"

namespace vx {
namespace {

using testing::Imm32;

constexpr uint32_t kPtNote = 4;

std::string Note(std::string text) {
  const uint32_t size = text.size();
  text.resize((text.size() + 3) / 4 * 4);
  return Imm32(4) + Imm32(size) + Imm32(1) + std::string("VXA\0", 4) + text;
}

std::string ElfWith(const std::vector<std::string>& segments) {
  testing::ElfSpec spec;
  for (const std::string& notes : segments) {
    spec.segments.push_back({0, notes, 0, testing::kElfR, kPtNote});
  }
  return testing::BuildElf(spec);
}

std::string Lines(size_t size, char of) { return std::string(size - 1, of) + "\n"; }

TEST(NoteText, HasTheLinesOfAllNotesAndSegmentsInTheirOrder) {
  EXPECT_EQ(NoteText(ElfWith({Note("a: 1\n") + Note("b: 2"), Note(""), Note("c: 3\n\n")})),
            "a: 1\nb: 2\nc: 3\n\n");
}

TEST(NoteText, AnythingMayBeInAFile) {
  const std::string elf = ElfWith({Note("a: 1\n")});
  for (size_t size = 0; size < elf.size(); ++size) NoteText(elf.substr(0, size));
  for (size_t at = 0; at + 4 <= elf.size(); ++at) {
    for (const uint32_t value : {0u, 1u, 0xfffffff0u, 0xffffffffu}) {
      std::string spoilt = elf;
      testing::PutLe(&spoilt, at, value, 4);
      NoteText(spoilt);
    }
  }
  EXPECT_EQ(NoteText(std::string(100, '\xff')), "");
}

TEST(NoteText, IsCutBetweenLines) {
  const std::string half = Lines(kMaxNoteText / 2, 'a');
  EXPECT_EQ(NoteText(ElfWith({Note(half + half)})), half + half);
  EXPECT_EQ(NoteText(ElfWith({Note(half), Note(half + "b\n")})), half + half);
  EXPECT_EQ(NoteText(ElfWith({Note(half), Note("b\n" + half), Note("c\n")})), half + "b\nc\n");
  EXPECT_EQ(NoteText(ElfWith({Note(std::string(kMaxNoteText, 'a'))})), "");
  EXPECT_EQ(NoteText(ElfWith({Note(std::string(kMaxNoteText - 1, 'a'))})),
            Lines(kMaxNoteText, 'a'));
}

TEST(NoteText, NotesAreCountedHoweverManyHeadersPointAtThem) {
  std::string notes;
  for (int i = 0; i < 600; ++i) notes += Note("");
  EXPECT_EQ(NoteText(ElfWith({notes, Note("a\n")})), "a\n");
  EXPECT_EQ(NoteText(ElfWith({notes, notes, Note("a\n")})), "");
}

}  // namespace
}  // namespace vx
