#include "archive/codec.h"

#include <brotli/encode.h>
#include <bzlib.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <utility>

#include "decoders/builtin.h"

namespace vxa {
namespace {

// zlib's own default: levels above save a percent or two and cost twice the time.
constexpr int kDeflateLevel = 6;

std::optional<std::string> Store(std::string_view chunk, uint64_t most) {
  if (chunk.size() > most) return std::nullopt;
  return std::string(chunk);
}

// A zlib stream (RFC 1950).
std::optional<std::string> Deflate(std::string_view chunk, uint64_t most) {
  uLongf size = std::min<uint64_t>(most, compressBound(chunk.size()));
  std::string encoded(size, '\0');
  const int result =
      compress2(reinterpret_cast<Bytef*>(encoded.data()), &size,
                reinterpret_cast<const Bytef*>(chunk.data()), chunk.size(), kDeflateLevel);
  if (result != Z_OK) return std::nullopt;  // Z_BUF_ERROR: more than `most`
  encoded.resize(size);
  encoded.shrink_to_fit();
  return encoded;
}

// A bzip2 stream of one or more blocks of at most 900,000 bytes, the largest that there are. A
// short chunk gets a smaller block, which compresses as well and lets its decoder do with less
// memory.
std::optional<std::string> Bzip2(std::string_view chunk, uint64_t most) {
  const auto hundreds_of_kilobytes =
      static_cast<int>(std::clamp<uint64_t>((chunk.size() + 99'999) / 100'000, 1, 9));
  // As much as its manual says that it can take.
  const uint64_t longest = chunk.size() + chunk.size() / 100 + 600;
  auto size = static_cast<unsigned>(std::min(most, longest));
  std::string encoded(size, '\0');
  const int result = BZ2_bzBuffToBuffCompress(
      encoded.data(), &size, const_cast<char*>(chunk.data()), static_cast<unsigned>(chunk.size()),
      hundreds_of_kilobytes, /*verbosity=*/0, /*workFactor=*/0);
  if (result != BZ_OK) return std::nullopt;  // BZ_OUTBUFF_FULL: more than `most`
  encoded.resize(size);
  encoded.shrink_to_fit();
  return encoded;
}

// The first `size` bytes of what was encoded, if that isn't more than `most`.
std::optional<std::string> Trimmed(std::string encoded, size_t size, uint64_t most) {
  if (size > most) return std::nullopt;
  encoded.resize(size);
  encoded.shrink_to_fit();
  return encoded;
}

// A Zstandard frame (RFC 8878) that knows its content's size. In a buffer that is just large enough
// the library fails.
std::optional<std::string> Zstd(std::string_view chunk, uint64_t most) {
  std::string encoded(ZSTD_compressBound(chunk.size()), '\0');
  const size_t size = ZSTD_compress(encoded.data(), encoded.size(), chunk.data(), chunk.size(),
                                    ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size)) return std::nullopt;
  return Trimmed(std::move(encoded), size, most);
}

// A .xz stream with a dictionary as large as the chunk, which its decoder has to have memory for,
// and no check, for there is the chunk's digest.
std::optional<std::string> Xz(std::string_view chunk, uint64_t most) {
  lzma_options_lzma options;
  if (lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT)) return std::nullopt;
  options.dict_size = std::max<uint32_t>(static_cast<uint32_t>(chunk.size()), LZMA_DICT_SIZE_MIN);
  lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA2, .options = &options},
                           {.id = LZMA_VLI_UNKNOWN, .options = nullptr}};
  std::string encoded(lzma_stream_buffer_bound(chunk.size()), '\0');
  size_t size = 0;
  const lzma_ret result = lzma_stream_buffer_encode(
      filters, LZMA_CHECK_NONE, nullptr, reinterpret_cast<const uint8_t*>(chunk.data()),
      chunk.size(), reinterpret_cast<uint8_t*>(encoded.data()), &size, encoded.size());
  if (result != LZMA_OK) return std::nullopt;
  return Trimmed(std::move(encoded), size, most);
}

// A Brotli stream (RFC 7932). The highest qualities save a few percent and take tens of times as
// long.
std::optional<std::string> Brotli(std::string_view chunk, uint64_t most) {
  constexpr int kQuality = 9;
  size_t size = BrotliEncoderMaxCompressedSize(chunk.size());
  std::string encoded(size, '\0');
  if (BrotliEncoderCompress(kQuality, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_GENERIC, chunk.size(),
                            reinterpret_cast<const uint8_t*>(chunk.data()), &size,
                            reinterpret_cast<uint8_t*>(encoded.data())) == BROTLI_FALSE) {
    return std::nullopt;
  }
  return Trimmed(std::move(encoded), size, most);
}

// An LZ4 frame of blocks of 4 MiB, made with care: what it is chosen for is fast decoding.
std::optional<std::string> Lz4(std::string_view chunk, uint64_t most) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockSizeID = LZ4F_max4MB;
  preferences.frameInfo.contentSize = chunk.size();
  preferences.compressionLevel = LZ4HC_CLEVEL_DEFAULT;
  std::string encoded(LZ4F_compressFrameBound(chunk.size(), &preferences), '\0');
  const size_t size =
      LZ4F_compressFrame(encoded.data(), encoded.size(), chunk.data(), chunk.size(), &preferences);
  if (LZ4F_isError(size)) return std::nullopt;
  return Trimmed(std::move(encoded), size, most);
}

}  // namespace

const std::vector<Codec>& Codecs() {
  static const auto* codecs = new std::vector<Codec>{
      {"store", "", "", Store},      {"deflate", "zlib", "--format=zlib", Deflate},
      {"bzip2", "bzip2", "", Bzip2}, {"zstd", "zstd", "", Zstd},
      {"xz", "xz", "", Xz},          {"brotli", "brotli", "", Brotli},
      {"lz4", "lz4", "", Lz4},
  };
  return *codecs;
}

const Codec& StoreCodec() { return Codecs()[0]; }
const Codec& GeneralCodec() { return *FindCodec("zstd"); }

const Codec* FindCodec(std::string_view name) {
  auto found = std::ranges::find(Codecs(), name, &Codec::name);
  return found == Codecs().end() ? nullptr : &*found;
}

std::optional<DecoderImage> BuiltinDecoder(std::string_view name) {
  static const auto* images = [] {
    auto* table = new std::vector<std::pair<std::string_view, DecoderImage>>;
    for (const decoders::Builtin& builtin : decoders::Builtins()) {
      table->push_back({builtin.name, {Digest::Of(builtin.elf), builtin.elf}});
    }
    return table;
  }();
  for (const auto& [known, image] : *images) {
    if (known == name) return image;
  }
  return std::nullopt;
}

}  // namespace vxa
