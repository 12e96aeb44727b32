// What is written in packs, piece by piece: headers, messages, names, and the names of files, and
// what decoders' images say of themselves. What is admitted is as archive/FORMAT.md and
// decoders/README.md want it, and what can be written again is the same.
//
//   0    which
//   1..  the bytes
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "archive/blob.h"
#include "archive/crc32c.h"
#include "archive/decoder_note.h"
#include "archive/digest.h"
#include "archive/fold.h"
#include "archive/names.h"
#include "archive/recognizer.h"
#include "archive/record_format.h"
#include "archive/text.h"
#include "archive/wire_text.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/input.h"
#include "vxengine/note_text.h"

namespace vxa::fuzz {
namespace {

void CheckManifest(std::string_view payload) {
  const absl::StatusOr<archive::v1::Manifest> manifest = ParseManifest(payload);
  if (!manifest.ok()) return;
  Check(manifest->min_reader() <= kReaderVersion, "a later program's manifest");
  Check(CheckName(manifest->name()).ok() && CheckName(manifest->namespace_()).ok(), "a name");
  Check(manifest->version() > 0 && manifest->version() <= kMaxVersion, "a version");
  Check(FromMessage(manifest->digest()).ok(), "a digest");
  Check(manifest->chunks().empty() || manifest->chunk_lists().empty(), "chunks and chunk lists");
  unsigned __int128 length = 0;
  for (const auto& chunk : manifest->chunks()) {
    Check(chunk.offset() == length && chunk.length() > 0, "a gap between chunks");
    length += chunk.length();
  }
  for (const auto& list : manifest->chunk_lists()) {
    Check(list.offset() == length && list.length() > 0, "a gap between chunk lists");
    length += list.length();
  }
  Check(length == StoredLength(*manifest), "chunks don't add up");
  if (manifest->has_object_decode()) StoredIdentity(manifest->object_decode());
}

void CheckChunkList(std::string_view payload) {
  const absl::StatusOr<archive::v1::ChunkList> list = ParseChunkList(payload);
  if (!list.ok()) return;
  Check(!list->chunks().empty(), "an empty chunk list");
  unsigned __int128 offset = list->chunks(0).offset();
  for (const auto& chunk : list->chunks()) {
    Check(chunk.offset() == offset && chunk.length() > 0, "a gap between chunks");
    offset += chunk.length();
  }
  Check(offset <= UINT64_MAX, "chunks beyond what there can be");
}

void CheckBlob(std::string_view payload) {
  const absl::StatusOr<BlobHead> head = ParseBlobHead(payload, payload.size());
  if (!head.ok()) return;
  Check(head->encoded_size + 4 <= payload.size(), "more encoded bytes than there are");
  Check(FromMessage(head->prefix.digest()).ok(), "a digest");
}

// With a CRC that is right, else hardly any would be.
std::string WithCrc(std::string_view bytes, std::string_view magic, size_t size) {
  std::string header(magic);
  header += bytes.substr(0, size - 4 - magic.size());
  header.resize(size - 4);
  const uint32_t crc = Crc32c(header);
  for (int n = 0; n < 4; ++n) header += static_cast<char>(crc >> (8 * n));
  return header;
}

void CheckPackHeader(std::string_view bytes) {
  const std::string encoded = WithCrc(bytes, kPackMagic, kPackHeaderSize);
  const absl::StatusOr<PackHeader> header = DecodePackHeader(encoded);
  if (header.ok()) Check(EncodePackHeader(*header) == encoded, "a pack's header");
}

void CheckRecordHeader(std::string_view bytes) {
  const std::string encoded = WithCrc(bytes, kRecordMagic, kRecordHeaderSize);
  uint64_t offset = 0;
  for (int n = 7; n >= 0; --n) offset = offset << 8 | static_cast<uint8_t>(encoded[24 + n]);
  const absl::StatusOr<RecordHeader> header = DecodeRecordHeader(encoded, std::nullopt, offset);
  if (!header.ok()) return;
  Check(EncodeRecordHeader(*header) == encoded, "a record's header");
  Check(!DecodeRecordHeader(encoded, std::nullopt, offset + 1).ok(), "it says where it lies");
  Uuid other = header->uuid;
  ++other[0];
  Check(!DecodeRecordHeader(encoded, other, offset).ok(), "it says whose it is");
  Check(!Name(header->type).empty() && header->length <= kMaxPayload, "a record's header");
}

void CheckNames(std::string_view text) {
  if (CheckName(text).ok()) {
    Check(!text.empty() && text.size() <= kMaxNameBytes && text[0] != '/', "a name");
    Check(IsUtf8(text), "a name that isn't UTF-8");
    Check(std::ranges::none_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }),
          "a control character");
    const std::string path = "/" + std::string(text) + "/";
    for (std::string_view no : {"//", "/./", "/../"}) {
      Check(path.find(no) == std::string::npos, "a segment of a name");
    }
  }
  if (CheckNamespace(text).ok()) Check(text == kDefaultNamespace, "a namespace");
  if (const uint32_t number = PackNumber(text); number != 0) {
    Check(PackName(number) == text, "a pack's name");
  }
  if (const absl::StatusOr<Digest> digest = Digest::FromString(text); digest.ok()) {
    // Hexadecimal digits may be of either case.
    Check(Digest::FromString(digest->ToString()).value() == *digest, "a digest's text");
  }
}

// UTF-8 without control characters but these.
void CheckCharacters(std::string_view text, std::string_view controls) {
  Check(IsUtf8(text), "text that isn't UTF-8");
  for (; !text.empty(); text.remove_prefix(Utf8Length(text))) {
    Check(!IsControl(text) || controls.find(text[0]) != std::string_view::npos,
          "a control character");
  }
}

void CheckText(std::string_view text) {
  for (size_t most : {size_t{0}, size_t{1}, size_t{5}, size_t{100}, size_t{100'000}}) {
    const std::string safe = WireText(text, most);
    Check(safe.size() <= std::max<size_t>(most, 3), "more text than was asked for");
    CheckCharacters(safe, "\n\t");
  }
  Check(MediaType(text).find('/') != std::string::npos, "a media type");
  if (const Format* format = Recognize(text)) DecodedExtension(*format, text, text);
}

void CheckBarrier(std::string_view payload) {
  const absl::StatusOr<Barrier> barrier = DecodeBarrier(payload);
  if (barrier.ok()) Check(EncodeBarrier(*barrier) == payload, "a barrier");
}

void CheckNote(std::string_view elf) {
  const std::string text = vx::NoteText(elf);
  Check(text.size() <= vx::kMaxNoteText && (text.empty() || text.ends_with('\n')), "a note's text");
  const DecoderNote note = ParseDecoderNote(text);
  for (const std::string& said : {note.kit, note.compiler}) CheckCharacters(said, "");
  if (note.output) CheckCharacters(note.output->media_type + note.output->extension, "");
  for (const DecoderNote::Source& source : note.sources) {
    CheckCharacters(source.name + source.version + source.license + source.file, "");
    for (const DecoderNote::Patch& patch : source.patches) CheckCharacters(patch.name, "");
  }
  for (const DecoderNote::Parameter& parameter : note.parameters) {
    CheckCharacters(parameter.syntax + parameter.description, "");
    const size_t name = parameter.syntax.find('=');
    const std::vector<std::string> arguments = {
        name == std::string::npos ? parameter.syntax
        : parameter.syntax.ends_with("=N")
            ? parameter.syntax.substr(0, name) + "=7"
            : parameter.syntax.substr(0, parameter.syntax.find('|'))};
    Check(CheckParameters(note, {}, arguments).ok(), "a declared argument is refused");
    Check(!CheckParameters(note, arguments, arguments).ok(), "an argument is taken twice");
  }
}

constexpr std::array<void (*)(std::string_view), 9> kAll = {
    CheckManifest, CheckChunkList, CheckBlob,    CheckPackHeader, CheckRecordHeader,
    CheckNames,    CheckText,      CheckBarrier, CheckNote};

}  // namespace
}  // namespace vxa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vxa::fuzz;
  google::protobuf::SetLogHandler(nullptr);
  Input input(data, size);
  const uint8_t which = input.Byte();
  kAll[which % kAll.size()](AsText(input.Rest()));
  return 0;
}
