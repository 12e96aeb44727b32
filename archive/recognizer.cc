#include "archive/recognizer.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "archive/names.h"

namespace vxa {
namespace {

using namespace std::string_view_literals;  // NOLINT(google-build-using-namespace): a suffix

// RFC 1952, 2.3: ID1 ID2, CM = deflate, reserved flags zero.
bool IsGzip(std::string_view head) {
  return head.size() >= 10 && head.starts_with("\x1f\x8b\x08"sv) &&
         (static_cast<uint8_t>(head[3]) & 0xe0) == 0;
}

// "BZh", the size of its blocks, and what a first block begins with, or the end of a stream without
// blocks.
bool IsBzip2(std::string_view head) {
  if (head.size() < 10 || !head.starts_with("BZh"sv) || head[3] < '1' || head[3] > '9')
    return false;
  const std::string_view magic = head.substr(4, 6);
  return magic == "\x31\x41\x59\x26\x53\x59"sv || magic == "\x17\x72\x45\x38\x50\x90"sv;
}

// RFC 8878, 3.1.1. What begins with a skippable frame isn't taken for one.
bool IsZstd(std::string_view head) { return head.starts_with("\x28\xb5\x2f\xfd"sv); }

bool IsXz(std::string_view head) { return head.starts_with("\xfd\x37zXZ\0"sv); }
bool IsLzip(std::string_view head) { return head.starts_with("LZIP\x01"sv); }

// The header before the format had a signature (liblzma's lzma-file-format.txt): the properties and
// sizes of dictionary that encoders use, a size that is unknown or below 2^40, and the zero that
// every stream begins with.
bool IsLzma(std::string_view head) {
  return head.starts_with("\x5d\0\0"sv) && head.size() > 13 && head[13] == '\0' &&
         (head.substr(10, 3) == "\0\0\0"sv ||
          head.substr(5, 8) == "\xff\xff\xff\xff\xff\xff\xff\xff"sv);
}

// LZ4 frames, and those of lz4 before 1.4.
bool IsLz4(std::string_view head) {
  return head.starts_with("\x04\x22\x4d\x18"sv) || head.starts_with("\x02\x21\x4c\x18"sv);
}

// RFC 9639, 6.
bool IsFlac(std::string_view head) { return head.starts_with("fLaC"sv); }

// Whether a first Ogg page (RFC 3533) has a packet that begins so.
bool IsOgg(std::string_view head, std::string_view packet) {
  constexpr size_t kHeader = 28;  // of a page with one segment
  return head.starts_with("OggS\0\x02"sv) && head.size() > kHeader && head[26] == 1 &&
         head.substr(kHeader).starts_with(packet);
}
bool IsVorbis(std::string_view head) { return IsOgg(head, "\x01vorbis"sv); }
bool IsOpus(std::string_view head) { return IsOgg(head, "OpusHead"sv); }

// How many bytes the layer III frame has that begins so (ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3, and
// 13818-3, with the half rates of MPEG-2.5); 0 if none does, or one of free format.
size_t Mp3FrameSize(std::string_view head) {
  constexpr unsigned kKilobits[2][16] = {
      {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},  // MPEG-1
      {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}};     // MPEG-2, -2.5
  constexpr unsigned kHertz[4] = {44100, 48000, 32000, 0};
  if (head.size() < 4) return 0;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(head[i]); };
  const unsigned version = byte(1) >> 3 & 3;  // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
  const unsigned kilobits = kKilobits[version != 3][byte(2) >> 4];
  const unsigned hertz = kHertz[byte(2) >> 2 & 3] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
  if (byte(0) != 0xff || (byte(1) & 0xe6) != 0xe2 || version == 1 || kilobits == 0 || hertz == 0)
    return 0;
  return (version == 3 ? 144 : 72) * 1000 * kilobits / hertz + (byte(2) >> 1 & 1);
}

// An ID3v2 tag, or two frames of one version and rate: one alone has no signature to speak of.
bool IsMp3(std::string_view head) {
  if (head.starts_with("ID3"sv)) return true;
  const size_t size = Mp3FrameSize(head);
  return size != 0 && size < head.size() && Mp3FrameSize(head.substr(size)) != 0 &&
         head[1] == head[size + 1] && ((head[2] ^ head[size + 2]) & 0x0c) == 0;
}

bool IsWav(std::string_view head) {
  return head.starts_with("RIFF"sv) && head.size() >= 12 && head.substr(8, 4) == "WAVE"sv;
}

// POSIX.1-1988 on: "ustar" in the header's magic field (GNU tar follows it with blanks).
bool IsTar(std::string_view head) { return head.size() >= 512 && head.substr(257, 5) == "ustar"sv; }

bool IsZip(std::string_view head) { return head.starts_with("PK\x03\x04"sv); }
bool IsPng(std::string_view head) { return head.starts_with("\x89PNG\r\n\x1a\n"sv); }
bool IsJpeg(std::string_view head) { return head.starts_with("\xff\xd8\xff"sv); }
bool IsWebp(std::string_view head) {
  return head.starts_with("RIFF"sv) && head.size() >= 12 && head.substr(8, 4) == "WEBP"sv;
}
bool IsGif(std::string_view head) {
  return head.starts_with("GIF87a"sv) || head.starts_with("GIF89a"sv);
}
bool IsTiff(std::string_view head) {
  return head.starts_with("II*\0"sv) || head.starts_with("MM\0*"sv);
}
// TIFF with offsets of 8 bytes, which its header says too.
bool IsBigTiff(std::string_view head) {
  return head.starts_with("II+\0\x08\0\0\0"sv) || head.starts_with("MM\0+\0\x08\0\0"sv);
}
// ISO/IEC 15444-1, I.5.1, and the beginning of a codestream (A.4.1, A.5.1).
bool IsJp2(std::string_view head) { return head.starts_with("\0\0\0\x0cjP  \r\n\x87\n"sv); }
bool IsJ2k(std::string_view head) { return head.starts_with("\xff\x4f\xff\x51"sv); }

// A binary Netpbm file's magic number is followed by any white space.
bool IsNetpbm(std::string_view head, std::string_view magic) {
  return head.size() > magic.size() && head.starts_with(magic) &&
         absl::ascii_isspace(static_cast<unsigned char>(head[magic.size()]));
}
bool IsPbm(std::string_view head) { return IsNetpbm(head, "P4"sv); }
bool IsPgm(std::string_view head) { return IsNetpbm(head, "P5"sv); }
bool IsPpm(std::string_view head) { return IsNetpbm(head, "P6"sv); }
bool IsPam(std::string_view head) { return head.starts_with("P7\n"sv); }

// "BM", two reserved fields, and as the size of the second header one that there is.
bool IsBmp(std::string_view head) {
  if (head.size() < 18 || !head.starts_with("BM"sv) || head.substr(6, 4) != "\0\0\0\0"sv)
    return false;
  const auto size = static_cast<uint8_t>(head[14]);
  return head.substr(15, 3) == "\0\0\0"sv &&
         (size == 12 || size == 40 || size == 52 || size == 56 || size == 108 || size == 124);
}
bool IsPdf(std::string_view head) { return head.starts_with("%PDF-"sv); }

constexpr Format kFormats[] = {
    {"gzip", "application/gzip", "x-fmt/266", ".gz", true, IsGzip, "zlib", "--format=gzip"},
    {"bzip2", "application/x-bzip2", "x-fmt/268", ".bz2", true, IsBzip2, "bzip2", ""},
    {"zstd", "application/zstd", "", ".zst", true, IsZstd, "zstd", ""},
    {"xz", "application/x-xz", "fmt/1098", ".xz", true, IsXz, "xz", ""},
    {"lzip", "application/x-lzip", "", ".lz", true, IsLzip, "xz", ""},
    {"lzma", "application/x-lzma", "", ".lzma", true, IsLzma, "xz", ""},
    {"lz4", "application/x-lz4", "", ".lz4", true, IsLz4, "lz4", ""},
    {"flac", "audio/flac", "fmt/279", ".flac", true, IsFlac, "flac", "", true},
    {"vorbis", "audio/ogg", "", ".ogg", true, IsVorbis, "vorbis", "", true},
    {"opus", "audio/ogg", "", ".opus", true, IsOpus, "opus", "", true},
    {"mp3", "audio/mpeg", "fmt/134", ".mp3", true, IsMp3, "mp3", "", true},
    {"wav", "audio/wav", "", ".wav", false, IsWav, "", "", false, "flac"},
    {"tar", "application/x-tar", "x-fmt/265", ".tar", false, IsTar, "", ""},
    {"zip", "application/zip", "x-fmt/263", ".zip", true, IsZip, "", ""},
    {"png", "image/png", "", ".png", true, IsPng, "png", "", true},
    {"jpeg", "image/jpeg", "", ".jpg", true, IsJpeg, "jpeg", "", true},
    {"webp", "image/webp", "fmt/566", ".webp", true, IsWebp, "webp", "", true},
    {"gif", "image/gif", "", ".gif", true, IsGif, "gif", "", true},
    {"tiff", "image/tiff", "fmt/353", ".tif", false, IsTiff, "tiff", "", true},
    {"bigtiff", "image/tiff", "", ".tif", false, IsBigTiff, "tiff", "", true},
    {"jp2", "image/jp2", "x-fmt/392", ".jp2", true, IsJp2, "jp2", "", true},
    {"j2k", "image/x-jp2-codestream", "", ".j2k", true, IsJ2k, "jp2", "", true},
    {"pbm", "image/x-portable-bitmap", "", ".pbm", false, IsPbm, "", "", false, "png"},
    {"pgm", "image/x-portable-graymap", "", ".pgm", false, IsPgm, "", "", false, "png"},
    {"ppm", "image/x-portable-pixmap", "", ".ppm", false, IsPpm, "", "", false, "png"},
    {"pam", "image/x-portable-arbitrarymap", "", ".pam", false, IsPam, "", "", false, "png"},
    {"bmp", "image/bmp", "", ".bmp", false, IsBmp, "", "", false, "png"},
    {"pdf", "application/pdf", "", ".pdf", false, IsPdf, "", ""},
};

// UTF-8 without control characters but blanks. Only the beginning of a longer text may end within
// a character.
bool LooksLikeText(std::string_view head) {
  head = head.substr(0, kRecognizedBytes);
  size_t cut = 0;
  const size_t most = head.size() == kRecognizedBytes ? 3 : 0;
  while (cut < most && !IsUtf8(head.substr(0, head.size() - cut))) ++cut;
  head.remove_suffix(cut);
  return !head.empty() && IsUtf8(head) && std::ranges::none_of(head, [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' && byte != '\f') ||
           byte == 0x7f;
  });
}

// The extension of a name with its dot, or "" if it has none that is fit for a file's name.
std::string_view Extension(std::string_view name) {
  constexpr size_t kLongest = 16;
  name = name.substr(name.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  std::string_view extension = name.substr(dot);
  const bool plain = std::ranges::all_of(extension.substr(1), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '+';
  });
  return plain && extension.size() > 1 && extension.size() <= kLongest ? extension : "";
}

}  // namespace

const Format* Recognize(std::string_view head) {
  auto found = std::ranges::find_if(kFormats, [&](const Format& f) { return f.matches(head); });
  return found == std::end(kFormats) ? nullptr : found;
}

std::string MediaType(std::string_view head) {
  if (const Format* format = Recognize(head)) return std::string(format->media_type);
  return LooksLikeText(head) ? "text/plain" : "application/octet-stream";
}

std::string DecodedExtension(const Format& format, std::string_view name, std::string_view head) {
  if (!format.converts) {
    constexpr std::string_view kPackedTars[] = {".tgz", ".tbz", ".tbz2", ".txz", ".tlz", ".tzst"};
    const std::string_view outer = Extension(name);
    if (std::ranges::count(kPackedTars, outer) != 0) return ".tar";
    const std::string_view inner = Extension(name.substr(0, name.size() - outer.size()));
    if (!inner.empty()) return std::string(inner);
  }
  if (const Format* decoded = Recognize(head)) return std::string(decoded->extension);
  return LooksLikeText(head) ? ".txt" : "";
}

}  // namespace vxa
