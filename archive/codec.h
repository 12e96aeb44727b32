// Codecs: an encoder and the archived decoder that undoes it, both of them guest programs.
#ifndef ARCHIVE_CODEC_H_
#define ARCHIVE_CODEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "archive/pack_writer.h"

namespace vxa {

struct Codec {
  std::string_view name;
  std::string_view decoder;   // a built-in's name; empty: bytes are stored as they are
  std::string_view argument;  // of the decoder; empty: it gets none
  std::string_view encoder;   // a built-in's name; empty where `decoder` is
  // Whether it is for one kind of files, and its encoder has to know how the object begins.
  bool is_for_a_format = false;
};

// Adding a codec is a row in this table.
const std::vector<Codec>& Codecs();
const Codec& StoreCodec();
// The codec for what nothing better is known for.
const Codec& GeneralCodec();
// Null if there is none of that name.
const Codec* FindCodec(std::string_view name);

// What a codec chosen automatically must bring a chunk down to: a decode costs more than a read, so
// it has to save at least a sixteenth.
inline uint64_t MostWorthwhile(uint64_t length) { return length - length / 16 - 1; }

// The image of a decoder or encoder that comes with the program. Nothing if there is none of that
// name.
std::optional<DecoderImage> BuiltinDecoder(std::string_view name);
std::optional<DecoderImage> BuiltinEncoder(std::string_view name);

}  // namespace vxa

#endif  // ARCHIVE_CODEC_H_
